"""Every alert has a runbook, every runbook an alert, and rules read metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_testing.deploy.alert_rules import RULES, alerts, faster, forms, names_of, rules
from gemma4_testing.deploy.metric_names import gateway_names, model_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (Gemma4\w+)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def known() -> set[str]:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return model_names() | gateway_names() | recorded | {"up"}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert SECTIONS.keys() == {rule["alert"] for rule in alerts()}
    for name, text in SECTIONS.items():
        marks = re.findall(r"^\*\*(.+?)\*\*", text, re.M)
        assert marks == ["Means.", "Who is hurt.", "Look at.", "Do.", "Fault."], name


def test_the_page_says_by_which_fault_each_was_fired() -> None:
    rows = re.findall(r"^\| (Gemma4\w+) \| ([\w ]+) \| .+ \| \d+ s \| \d+ s \|$", PAGE, re.M)
    assert sorted(" ".join(row) for row in rows) == sorted(forms())


@pytest.mark.parametrize("rule", alerts(), ids=lambda r: f"{r['alert']}-{r['labels']['severity']}")
def test_an_alert_says_what_a_person_needs(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    notes = rule["annotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/operations.md#{str(rule['alert']).lower()}"
    assert notes["summary"].endswith(".") and "{{" not in notes["summary"]
    assert "{{" in notes["description"] or "absent" in str(rule["expr"])


def test_rules_read_metrics_that_there_are() -> None:
    for rule in rules():
        assert names_of(rule["expr"]) <= known(), rule
    assert names_of('rate(gemma4_x_total{a="nv_y"}[5m]) / nv_z') == {"gemma4_x_total", "nv_z"}


def test_runbooks_ask_for_metrics_that_there_are() -> None:
    names = {n for text in SECTIONS.values() for n in re.findall(r"\bgemma4[_:][a-z0-9_:]+", text)}
    packages = {"gemma4_gateway", "gemma4_quality_gate_agreement"}
    timed = "gemma4_quality_gate_last_run_timestamp_seconds"
    whole = {family.name for family in FAMILIES}
    assert names - packages - {timed} <= known() | whole


def test_the_chart_has_copies_of_the_rule_files() -> None:
    """Helm reads no file outside the chart."""
    copies = ROOT / "deploy" / "helm" / "gemma4-triton" / "rules"
    assert {f.name: f.read_bytes() for f in copies.iterdir()} == {
        f.name: f.read_bytes() for f in RULES
    }


def _waits(name: str) -> int:
    """Seconds of `for` of a page."""
    (rule,) = [r for r in alerts() if (r["alert"], r["labels"]["severity"]) == (name, "page")]
    number, unit = re.fullmatch(r"(\d+)([smh])", rule["for"]).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


@pytest.mark.parametrize("cause", ["Gemma4ServerDown", "Gemma4GatewayDown"])
def test_a_gateway_without_back_ends_pages_no_sooner_than_its_cause(cause: str) -> None:
    """Else one fault sends two pages: a cause can silence only what comes after it."""
    assert _waits("Gemma4NoReadyBackend") >= _waits(cause)


def test_faster_rules_differ_in_times_only() -> None:
    text = "  for: 10m\n  expr: rate(x[3d]) > 600 and y[5m]\n  - interval: 10m\n"
    short = "  for: 10s\n  expr: rate(x[60s]) > 600 and y[5s]\n  - interval: 10m\n"
    assert faster(text, 60, least=5, most=60) == short
    for file in RULES:
        made = faster(file.read_text(encoding="utf-8"), 60, least=5, most=60)
        assert not re.search(r"\[\d+[mhd]\]|for: \d+[mhd]", made)
