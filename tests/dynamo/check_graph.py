"""The chart's DynamoGraphDeployment against Dynamo's own package: fields that its templates and its
profiler write, and the settings that its planner knows."""

from __future__ import annotations

import ast
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml
from gemma4_testing.deploy.rendered_chart import objects

(GRAPH,) = (o for o in objects("dynamo") if o["kind"] == "DynamoGraphDeployment")
DYNAMO = Path(str(distribution("ai-dynamo").locate_file("dynamo/frontend/main.py"))).parents[1]


def test_it_has_the_fields_of_dynamos_own_template() -> None:
    template = DYNAMO / "profiler" / "templates" / "dgd" / "trtllm" / "agg.yaml"
    theirs = yaml.safe_load(template.read_text())
    assert (GRAPH["apiVersion"], GRAPH["kind"]) == (theirs["apiVersion"], theirs["kind"])
    assert GRAPH["spec"].keys() == theirs["spec"].keys()
    known = {field for each in theirs["spec"]["components"] for field in each}
    # The profiler of Dynamo writes it into each component of a graph.
    assert '["runtimeVersionOverride"] =' in (
        DYNAMO / "profiler" / "utils" / "dgd_generation.py"
    ).read_text(encoding="utf-8")
    for each in GRAPH["spec"]["components"]:
        assert each.keys() - {"replicas"} == known - {"replicas"} | {"runtimeVersionOverride"}
        assert "main" in {c["name"] for c in each["podTemplate"]["spec"]["containers"]}


def settings() -> dict[str, str]:
    """The fields of the planner's configuration with their types, as its source has them: to
    import it takes packages that only NVIDIA's image has."""
    source = (DYNAMO / "planner" / "config" / "planner_config.py").read_text()
    (kind,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "PlannerConfig"
    )
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in kind.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def test_the_planner_knows_its_settings() -> None:
    (planner,) = (each for each in GRAPH["spec"]["components"] if each["type"] == "planner")
    (container,) = planner["podTemplate"]["spec"]["containers"]
    option, text = container["args"]
    asked: dict[str, Any] = json.loads(text)
    known = settings()
    assert option == "--config" and asked.keys() <= known.keys()
    for name, value in asked.items():
        kind = known[name]
        if kind.startswith("Literal"):
            assert repr(value) in kind, name
        elif kind in ("int", "float", "bool"):
            assert isinstance(value, int | float) and isinstance(value, bool) == (kind == "bool")
    assert asked["mode"] == "agg" and asked["optimization_target"] == "sla"
