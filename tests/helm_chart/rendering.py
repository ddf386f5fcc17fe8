"""Render the chart with Helm's own engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import helm_python
import yaml
from helm_chart.value_sets import CHART, SETS

__all__ = [
    "NAMESPACE",
    "RELEASE",
    "chart",
    "container",
    "manifest",
    "objects",
    "of_kind",
    "pods",
    "render",
]

RELEASE, NAMESPACE = "gemma4", "llm"
TEMPLATED = {"Deployment", "Job"}


@cache
def chart() -> Any:
    return helm_python.Chart.load(str(CHART))


def render(values: dict[str, Any]) -> dict[str, str]:
    """Text by template. Raises what Helm says of wrong values."""
    chart().validate_schema(values)
    return chart().render(values, name=RELEASE, namespace=NAMESPACE)


def manifest(name: str) -> str:
    """All objects of one value set, as `helm template` prints them."""
    found = sorted(render(SETS[name]).items())
    parts = [text.strip() for path, text in found if path.endswith(".yaml") and text.strip()]
    return "\n---\n".join(part.removeprefix("---").strip() for part in parts) + "\n"


@cache
def objects(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(o for o in yaml.safe_load_all(manifest(name)) if o)


def of_kind(name: str, kind: str, suffix: str = "") -> dict[str, Any]:
    """The one object of a kind, whose name ends in ``suffix``."""
    (found,) = [
        o for o in objects(name) if o["kind"] == kind and o["metadata"]["name"].endswith(suffix)
    ]
    return found


def pods(name: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Kind of the owner, labels and spec of each pod that a value set makes."""
    for item in objects(name):
        spec = item.get("spec", {})
        if item["kind"] in TEMPLATED:
            template = spec["template"]
            yield item["kind"], template["metadata"]["labels"], template["spec"]
        elif item["kind"] == "LeaderWorkerSet":
            template = spec["leaderWorkerTemplate"]["workerTemplate"]
            yield item["kind"], template["metadata"]["labels"], template["spec"]
        elif item["kind"] == "InferenceService":
            predictor = dict(spec["predictor"])
            for own in ("minReplicas", "maxReplicas", "annotations", "deploymentStrategy"):
                predictor.pop(own, None)
            yield item["kind"], predictor.pop("labels"), predictor
        elif item["kind"] == "DynamoGraphDeployment":
            for component in spec["components"]:
                template = component["podTemplate"]
                yield item["kind"], template["metadata"]["labels"], template["spec"]


def container(pod: dict[str, Any], command: str) -> dict[str, Any] | None:
    """The container that runs ``gemma4 COMMAND``."""
    for one in pod["containers"]:
        if one.get("args", [])[:2] == ["gemma4", command]:
            return one
    return None
