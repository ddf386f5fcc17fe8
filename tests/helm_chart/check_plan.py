"""What `gemma4 plan` prints for Kubernetes is rendered, and Kubernetes takes it. The values are
kept by tests/plan/test_plan_printed.py."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml
from helm_chart.crd_shape import FIELDS, kind_of
from helm_chart.rendering import render
from helm_chart.value_sets import CHART

VALUES = yaml.safe_load(
    (Path(__file__).parents[1] / "deploy" / "plan_values.yaml").read_text(encoding="utf-8")
)


def objects(values: dict[str, Any]) -> list[dict[str, Any]]:
    texts = [text for path, text in render(values).items() if path.endswith(".yaml")]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def words_of(item: dict[str, Any]) -> list[str]:
    """The command lines of its containers."""
    spec = item.get("spec", {}).get("template", {}).get("spec", {})
    each = (*spec.get("initContainers", ()), *spec.get("containers", ()))
    return [str(word) for one in each for word in one.get("args", ())]


@pytest.mark.parametrize("name", VALUES)
def test_helm_renders_what_a_plan_prints(name: str) -> None:
    values = VALUES[name]
    found = objects(values)
    for item in found:
        if kind_of(item) not in FIELDS:
            kubernetes_validate.validate(copy.deepcopy(item), "1.37", strict=True)
    build = values["engine"]["build"]
    words = next(words for item in found if "build" in (words := words_of(item)))
    for option, value in (
        ("--precision", build["precision"]), ("--gpu", build["gpu"]),
        ("--slots", build["slots"]), ("--max-total-tokens", build["maxTotalTokens"]),
        ("--tp", values["engine"]["tp"]),
    ):  # fmt: skip
        assert words[words.index(option) + 1] == str(value)
    text = "\n".join(render(values).values())
    assert f"replicas: {values['triton']['replicas']}" in text
    assert f"replicas: {values['gateway']['replicas']}" in text


@pytest.mark.parametrize("name", VALUES)
def test_lint(name: str) -> None:
    found = helm_python.lint(str(CHART), VALUES[name], strict=True, kube_version="v1.37.0")
    assert found["errors"] == []


def test_there_are_values_of_every_gpu_that_can_be_ranked() -> None:
    assert len(VALUES) >= 8
