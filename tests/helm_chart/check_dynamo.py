"""triton.workload DynamoGraphDeployment: workers of NVIDIA Dynamo from the values of Triton."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from helm_chart.crd_shape import faults
from helm_chart.rendering import objects, of_kind
from helm_chart.value_sets import DIGEST

GRAPHS = ("dynamo", "dynamo-tp2-without-planner", "dynamo-kv-downloaded-engine")
OTHER = "dynamo-tp2-without-planner"


def components(name: str) -> dict[str, Any]:
    spec = of_kind(name, "DynamoGraphDeployment")["spec"]
    return {each["name"]: each for each in spec["components"]}


def containers(name: str, component: str) -> dict[str, Any]:
    spec = components(name)[component]["podTemplate"]["spec"]
    return {each["name"]: each for each in spec["containers"]}


def main(name: str, component: str) -> Any:
    return containers(name, component)["main"]


def planner(name: str) -> Any:
    option, text = main(name, "planner")["args"]
    assert option == "--config"
    return json.loads(text)


@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_in_the_place_of_deployment_and_gateway(name: str) -> None:
    kinds = {o["kind"] for o in objects(name)}
    assert not kinds & {"Deployment", "LeaderWorkerSet", "InferenceService", "Ingress"}
    assert not [o for o in objects(name) if o["metadata"]["name"].endswith("-headless")]


def test_the_check_of_fields_finds_what_is_wrong() -> None:
    item = copy.deepcopy(of_kind("dynamo", "DynamoGraphDeployment"))
    frontend, worker, _ = item["spec"]["components"]
    frontend["type"], frontend["replicas"] = "router", "2"
    worker["multinode"] = {"nodes": 2}
    del worker["name"]
    item["spec"]["services"] = {}
    assert sorted(faults(item)) == [
        "spec.components[0].replicas: '2' is no integer",
        "spec.components[0].type: 'router' is none of frontend|worker|prefill|decode|planner|epp",
        "spec.components[1].multinode: has no field nodes",
        "spec.components[1].multinode: lacks nodeCount",
        "spec.components[1]: lacks name",
        "spec: has no field services",
    ]


VERSION = r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}"
MOST_COMPONENTS = 25


@pytest.mark.parametrize("name", GRAPHS)
def test_it_keeps_the_rules_of_the_definition(name: str) -> None:
    """What its schema asks beyond types, and what the operator's admission asks of every component:
    the files that crd_fields.json names, and internal/webhook/validation/shared_v1beta1.go there."""
    found = of_kind(name, "DynamoGraphDeployment")["spec"]["components"]
    assert len({each["name"].lower() for each in found}) == len(found) <= MOST_COMPONENTS
    for each in found:
        assert each.get("replicas", 1) >= 0
        assert re.fullmatch(VERSION, each["runtimeVersionOverride"])
        assert main(name, each["name"])["image"]


@pytest.mark.parametrize("name", GRAPHS)
def test_the_operator_is_told_dynamos_version(name: str) -> None:
    """Otherwise it takes the tags of our images for that, 0.2.0."""
    versions = {each["runtimeVersionOverride"] for each in components(name).values()}
    assert versions == {"1.7.0" if name == OTHER else "1.6.1"}


def test_the_worker_is_tritons_pod() -> None:
    """GPUs, engine, placement and name as with a Deployment, and the worker asks it by loopback."""
    worker = components("dynamo")["worker"]["podTemplate"]
    plain = of_kind("h100", "Deployment", "-triton")["spec"]["template"]
    assert worker["metadata"]["labels"] == plain["metadata"]["labels"]
    ours, theirs = copy.deepcopy(worker["spec"]), copy.deepcopy(plain["spec"])
    ours["containers"] = [c for c in ours["containers"] if c["name"] != "main"]
    ours["volumes"] = [v for v in ours["volumes"] if v["name"] != "dynamo-tmp"]
    for lacking in ("serviceAccountName", "automountServiceAccountToken"):
        assert theirs.pop(lacking) is not None and lacking not in ours, "the operator's own"
    assert ours == theirs
    found = containers(OTHER, "worker")
    assert found["triton"]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert "nvidia.com/gpu" not in found["main"]["resources"]["limits"]
    assert "--server=127.0.0.1:8001" in found["main"]["args"]
    assert components(OTHER)["worker"]["replicas"] == 4


def test_values_become_options() -> None:
    args = main(OTHER, "worker")["args"]
    assert {
        "--engine=/engine/current", "--input=text", "--served-model-name=gemma-4",
        "--timeout=60.5", "--drain-delay=7.5", "--grace=120", "--health-interval=0.5",
    } <= set(args)  # fmt: skip
    assert not any("served-model-name" in a for a in main("dynamo", "worker")["args"])
    frontend = main(OTHER, "frontend")
    assert frontend["args"] == [
        "--http-port=8000", "--router-mode=round-robin", "--migration-limit=0",
        "--enable-anthropic-api",
    ]  # fmt: skip
    assert frontend["image"] == "registry.example.org/gemma4-dynamo:week-48"
    for each in (frontend, main(OTHER, "worker")):
        assert {"name": "DYN_LOG", "value": "info"} in each["env"]
    pod = components(OTHER)["frontend"]["podTemplate"]["spec"]
    assert pod["nodeSelector"] == {"pool": "cpu"} and pod["priorityClassName"] == "serving"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert "--no-router-kv-events" in main("dynamo-kv-downloaded-engine", "frontend")["args"]


def test_triton_drains_after_its_worker() -> None:
    """Both are told to end at once; the worker goes on taking requests for its drain delay."""
    for name, least in (("dynamo", 4), (OTHER, 9.5)):
        stop = containers(name, "worker")["triton"]["lifecycle"]["preStop"]["exec"]["command"]
        assert int(stop[1]) >= least
        pod = components(name)["worker"]["podTemplate"]["spec"]
        assert pod["terminationGracePeriodSeconds"] >= int(stop[1]) + 120 + 30


def test_the_workers_pages_are_true_and_patient() -> None:
    worker = main("dynamo", "worker")
    assert {"name": "DYN_HEALTH_CHECK_ENABLED", "value": "true"} in worker["env"]
    for probe in ("startupProbe", "livenessProbe"):
        assert worker[probe]["periodSeconds"] * worker[probe]["failureThreshold"] > 1800 + 30


def test_the_planner() -> None:
    assert planner("dynamo").items() >= {
        "mode": "agg", "optimization_target": "sla", "ttft_ms": 1000, "itl_ms": 40,
        "min_endpoint": 2, "max_gpu_budget": 8, "enable_load_scaling": True,
        "decode_engine_num_gpu": 1,
    }.items()  # fmt: skip
    assert main("dynamo", "planner")["image"].endswith("/dynamo-planner:1.6.1")
    changed = "dynamo-kv-downloaded-engine"
    assert planner(changed)["enable_load_scaling"] is False
    assert planner(changed)["min_gpu_budget"] == 2
    assert main(changed, "planner")["image"] == f"registry.example.org/planner@{DIGEST}"
    assert "planner" not in components(OTHER)
    own = main("dynamo", "planner")["securityContext"]
    assert own["capabilities"] == {"drop": ["ALL"]} and not own["allowPrivilegeEscalation"]


@pytest.mark.parametrize("name", [n for n in GRAPHS if n != OTHER])
def test_the_planner_knows_the_gpus_of_a_worker(name: str) -> None:
    """Its budget is divided by them where the operator does not say how many they are."""
    limits = containers(name, "worker")["triton"]["resources"]["limits"]
    assert planner(name)["decode_engine_num_gpu"] == limits["nvidia.com/gpu"]


def test_an_upgrade_leaves_the_number_of_workers_to_the_planner() -> None:
    assert "replicas" not in components("dynamo")["worker"]
    assert components("dynamo-kv-downloaded-engine")["worker"]["replicas"] == 3


def test_network_policies() -> None:
    """Frontends and workers reach each other, DNS and Kubernetes' API; clients the frontends."""
    ours = {"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "gemma4"}}}
    for name in GRAPHS:
        for suffix in ("-triton", "-dynamo-frontend"):
            spec = of_kind(name, "NetworkPolicy", suffix)["spec"]
            assert {"from": [ours]} in spec["ingress"] and {"to": [ours]} in spec["egress"]
            open_to_all = [r["ports"] for r in spec["egress"] if "to" not in r and "ports" in r]
            assert {p["port"] for ports in open_to_all for p in ports} >= {53, 443, 6443}
    frontend = of_kind(OTHER, "NetworkPolicy", "-dynamo-frontend")["spec"]
    (rule,) = [r for r in frontend["ingress"] if "ports" in r]
    assert rule["ports"] == [{"port": 8000, "protocol": "TCP"}]
    assert {"namespaceSelector": {"matchLabels": {"name": "apps"}}} in rule["from"]
    assert {"ports": [{"port": 2379, "protocol": "TCP"}]} in frontend["egress"]
    worker = of_kind("dynamo-kv-downloaded-engine", "NetworkPolicy", "-triton")["spec"]
    assert {"ports": [{"port": 8443, "protocol": "TCP"}]} in worker["egress"]


def test_without_it_nothing_of_dynamo_is_made() -> None:
    for name in ("h100", "cpu", "kserve", "inference-pool"):
        assert "dynamo" not in json.dumps(objects(name)).lower()
