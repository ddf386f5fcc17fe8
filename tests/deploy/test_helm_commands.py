"""The command lines and metrics of the Helm chart are those of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from gemma4_cli.main import app
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.settings import check_backend
from gemma4_testing.deploy.rendered_chart import CPU, GPU, container_of, objects, pods
from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "gemma4-triton"


def parse(args: list[str]) -> dict[str, Any]:
    """Parse ``gemma4 ...`` with the real command line; nothing runs."""
    assert args[0] == "gemma4"
    group = typer.main.get_group(app)
    return group.commands[args[1]].make_context(args[1], list(args[2:])).params


@pytest.mark.parametrize("name", [CPU, GPU])
def test_every_command_is_one_that_we_have(name: str) -> None:
    commands = [c["args"] for pod in pods(name) for c in pod["containers"]]
    assert {args[1] for args in commands} >= {"serve", "gateway"}
    for args in commands:
        assert parse(args)


def test_serve_listens_where_the_probes_and_services_look() -> None:
    _, serve = container_of(GPU, "serve")
    params = parse(serve["args"])
    ports = {p["name"]: p["containerPort"] for p in serve["ports"]}
    assert ports == {
        "http": params["http_port"], "grpc": params["grpc_port"],
        "metrics": params["metrics_port"], "health": params["health_port"],
    }  # fmt: skip
    assert params["host"] == "0.0.0.0"
    assert parse(container_of(CPU, "serve")[1]["args"])["host"] == "127.0.0.1"


def test_the_gateway_asks_where_triton_listens() -> None:
    for name in (CPU, GPU):
        params = parse(container_of(name, "gateway")[1]["args"])
        grpc = parse(container_of(name, "serve")[1]["args"])["grpc_port"]
        (backend,) = params["backend"]
        assert check_backend(backend).endswith(f":{grpc}")
        assert params["port"] == 8080


def test_the_build_makes_what_is_served() -> None:
    build = parse(container_of(GPU, "build")[1]["args"])
    serve = parse(container_of(GPU, "serve")[1]["args"])
    assert build["out"] == serve["engine"]
    assert build["runtime"] == "tensorrt_llm" and build["gpu"] == "h200"


def families() -> set[str]:
    found = set()
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            found |= {metric._name, f"{metric._name}_total"}
    return found


def test_metrics_of_the_gateway_that_scaling_reads_exist() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    keda = values["autoscaling"]["keda"]
    queries = [t["query"] for t in keda["triggers"]] + [keda["activation"]["query"]]
    names = set(re.findall(r"gemma4_gateway_\w+", " ".join(queries)))
    assert len(names) == 2 and names <= families()
    triggers = next(o for o in objects(GPU) if o["kind"] == "ScaledObject")["spec"]["triggers"]
    for trigger in triggers:
        assert "$" not in trigger["metadata"]["query"]


def test_versions_of_the_chart() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chart["version"] == chart["appVersion"] == version
