"""The files of deploy/ say each thing once, and the chart's schema takes the chart's own values.

Two branches that each add a key of one name merge without a conflict. JSON and YAML then take the
last one without a word."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "gemma4-triton"
JSON = sorted((ROOT / "deploy").rglob("*.json"))
YAML = sorted(
    path
    for path in [ROOT / "docker-compose.yml", *(ROOT / "deploy").rglob("*.y*ml")]
    if CHART / "templates" not in path.parents
)


def _once(keys: Iterable[str]) -> None:
    twice = [key for key, times in Counter(keys).items() if times > 1]
    assert not twice, f"given more than once: {twice}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _once(key for key, _ in pairs)
    return dict(pairs)


def _no_key_twice(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        # YAML's merge key `<<` may stand in one mapping as often as it likes.
        _once(key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge")
        for _, value in node.value:
            _no_key_twice(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _no_key_twice(item)


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


@pytest.mark.parametrize("path", JSON, ids=_names(JSON))
def test_no_key_of_a_json_file_is_given_twice(path: Path) -> None:
    json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_object)


@pytest.mark.parametrize("path", YAML, ids=_names(YAML))
def test_no_key_of_a_yaml_file_is_given_twice(path: Path) -> None:
    for document in yaml.compose_all(path.read_text(encoding="utf-8"), yaml.SafeLoader):
        _no_key_twice(document)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": [{"b": 1, "c": 2, "b": 3}]}'])
def test_a_key_that_is_given_twice_is_seen(text: str) -> None:
    with pytest.raises(AssertionError, match="more than once"):
        json.loads(text, object_pairs_hook=_object)
    with pytest.raises(AssertionError, match="more than once"):
        _no_key_twice(yaml.compose(text, yaml.SafeLoader))


@pytest.mark.parametrize("name", ["values.yaml", "values/*.yaml"])
def test_the_chart_takes_its_own_values(name: str) -> None:
    """Without Helm; `make test-helm` renders them."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    found = sorted(CHART.glob(name))
    assert found
    for path in found:
        jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), schema)
