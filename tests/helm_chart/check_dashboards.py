"""The dashboards as the chart hands them to Grafana."""

from __future__ import annotations

import json

from helm_chart.rendering import objects
from helm_chart.value_sets import CHART, DOCS, SETS

OURS = "https://example.org/gemma4-triton/docs"


def test_each_dashboard_is_a_config_map_that_grafana_finds() -> None:
    maps = [o for o in objects("dashboards") if o["kind"] == "ConfigMap"]
    found = {}
    for item in maps:
        labels = item["metadata"]["labels"]
        if labels.get("grafana_dashboard") == "1":
            assert labels["team"] == "llm"
            found |= item["data"]
    files = {p.name: p.read_text(encoding="utf-8") for p in (CHART / "dashboards").glob("*.json")}
    assert len(files) == 4 and found.keys() == files.keys()
    for name, text in files.items():
        assert OURS in text and json.loads(found[name]) == json.loads(text.replace(OURS, DOCS))


def test_there_are_none_unless_asked_for() -> None:
    for name in SETS.keys() - {"dashboards"}:
        assert "grafana_dashboard" not in str(objects(name)), name
