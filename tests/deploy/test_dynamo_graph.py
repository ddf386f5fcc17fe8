"""The DynamoGraphDeployment that the chart makes, as far as it can be checked without Helm,
Kubernetes and Dynamo's operator. `make test-helm` renders it and checks its fields and pods,
`make test-dynamo` the planner's settings."""

from __future__ import annotations

import tomllib
from typing import Any

from gemma4_testing.deploy.compose_files import ROOT, parse
from gemma4_testing.deploy.rendered_chart import objects

(GRAPH,) = (o for o in objects("dynamo") if o["kind"] == "DynamoGraphDeployment")
COMPONENTS = {each["name"]: each for each in GRAPH["spec"]["components"]}


def containers(component: str) -> dict[str, Any]:
    spec = COMPONENTS[component]["podTemplate"]["spec"]
    return {each["name"]: each for each in spec["containers"]}


def test_the_operator_finds_what_it_looks_for() -> None:
    assert (GRAPH["apiVersion"], GRAPH["kind"]) == ("nvidia.com/v1beta1", "DynamoGraphDeployment")
    types = {name: each["type"] for name, each in COMPONENTS.items()}
    assert types == {"frontend": "frontend", "planner": "planner", "worker": "worker"}
    for name in COMPONENTS:
        assert "main" in containers(name), "the operator gives its environment to this one"


def test_the_commands_are_ours() -> None:
    found = containers("worker")
    worker = parse([*found["main"]["command"], *found["main"]["args"]])
    serve = parse(found["triton"]["args"])
    assert worker["engine"] == serve["engine"]
    assert worker["server"] == [f"127.0.0.1:{serve['grpc_port']}"]
    assert worker["endpoint"] == "", "the operator's namespace"
    for container in found.values():
        assert {"name": "engine", "mountPath": "/engine", "readOnly": True} in container[
            "volumeMounts"
        ]
    pod = COMPONENTS["worker"]["podTemplate"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= worker["drain_delay"] + worker["grace"] + 20
    wait = found["main"]["startupProbe"]
    assert wait["periodSeconds"] * wait["failureThreshold"] >= serve["start_timeout"] + 600
    assert "nvidia.com/gpu" in found["triton"]["resources"]["limits"]
    assert "nvidia.com/gpu" not in found["main"]["resources"]["limits"]


def test_images_have_our_version_and_dynamo_its_own() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {c["image"] for name in COMPONENTS for c in containers(name).values()}
    assert {i for i in images if i.startswith("gemma4-")} == {
        f"gemma4-dynamo:{version}", f"gemma4-triton:{version}",
    }  # fmt: skip
    pinned = next(
        line.split("==")[1]
        for line in (ROOT / "deploy" / "docker" / "dynamo.lock").read_text().splitlines()
        if line.startswith("ai-dynamo==")
    )
    assert {i.rsplit(":", 1)[1] for i in images if not i.startswith("gemma4-")} == {pinned}
    assert {each["runtimeVersionOverride"] for each in COMPONENTS.values()} == {pinned}
