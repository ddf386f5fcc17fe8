"""The pods of deploy/dynamo/graph.yaml are what Kubernetes takes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

GRAPH = yaml.safe_load(
    (Path(__file__).parents[2] / "deploy" / "dynamo" / "graph.yaml").read_text(encoding="utf-8")
)
COMPONENTS = {each["name"]: each for each in GRAPH["spec"]["components"]}


def pod(name: str) -> dict[str, Any]:
    spec = copy.deepcopy(COMPONENTS[name]["podTemplate"]["spec"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize("version", [f"1.{minor}" for minor in range(30, 38)])
@pytest.mark.parametrize("name", COMPONENTS)
def test_kubernetes_takes_the_pods(name: str, version: Any) -> None:
    kubernetes_validate.validate(pod(name), version, strict=True)


def test_the_check_finds_what_is_wrong() -> None:
    item = pod("worker")
    item["spec"]["containers"][0]["args"] = "--engine"
    with pytest.raises(kubernetes_validate.ValidationError, match="args"):
        kubernetes_validate.validate(item, "1.37", strict=True)
