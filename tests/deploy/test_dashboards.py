"""The files of the dashboards, without a Prometheus: `make test-dashboards` asks a real one."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from boards.all_boards import stale
from boards.runbooks import RUNBOOKS
from gemma4_testing.dashboards.dashboard_files import (
    Asked,
    asked,
    defaults,
    expand,
    families,
    legend_labels,
    read,
)
from gemma4_testing.deploy.compose_files import ROOT

BOARDS = read()
ASKED = list(asked(BOARDS))
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['id']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
]
GRAFANA = {"__rate_interval": "1m", "__range": "30m"}
UNITS = {
    "s", "µs", "none", "short", "percentunit", "reqps", "bytes", "watt", "kwatth", "h",
    "currencyUSD",
}  # fmt: skip
"""Grafana's own ids that are used here; ``suffix:`` is free."""
CHOICE = '{namespace=~"$namespace",job=~"$job",instance=~"$instance"'


def test_the_files_are_those_that_the_code_makes() -> None:
    assert not stale(), "run `python scripts/boards`"


def test_runbooks_are_of_panels_and_of_alerts() -> None:
    titles = {panel["title"] for board in BOARDS.values() for panel in board["panels"]}
    assert set(RUNBOOKS) <= titles
    rules = "".join(p.read_text("utf-8") for p in (ROOT / "deploy/monitoring").glob("rules/*.yml"))
    alerts = set(re.findall(r"alert: (\w+)", rules))
    assert not alerts or set(RUNBOOKS.values()) <= alerts


def test_the_four_questions_have_a_page() -> None:
    assert {board["title"].removeprefix("Gemma 4: ") for board in BOARDS.values()} == {
        "Are users happy?", "What limits?", "What broke?", "What does it cost?",
    }  # fmt: skip
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS)


@pytest.mark.parametrize("name", BOARDS)
def test_each_page_leads_to_the_others_and_to_the_docs(name: str) -> None:
    links = {link["url"] for link in BOARDS[name]["links"]}
    others = {f"/d/{board['uid']}" for other, board in BOARDS.items() if other != name}
    pages = {url.removeprefix("${docs}/") for url in links - others}
    assert others <= links and pages == {"monitoring.md", "operations.md"}
    assert (ROOT / "docs" / "monitoring.md").exists()


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    if panel["type"] == "row":
        return
    assert panel["description"].endswith(".") and len(panel["description"]) > 8
    plain = panel["fieldConfig"]["defaults"]
    assert plain["unit"] in UNITS or plain["unit"].startswith("suffix: "), plain["unit"]
    assert plain["noValue"], "an empty panel must say why"
    steps = [step["value"] for step in plain["thresholds"]["steps"]]
    assert steps[0] is None and steps[1:] == sorted(steps[1:])
    legends = [target["legendFormat"] for target in panel["targets"]]
    assert all(legends) and len(set(legends)) == len(legends)
    dashed = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
    assert dashed <= set(legends)
    names = [target["refId"] for target in panel["targets"]]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", BOARDS)
def test_panels_fill_the_grid_without_lying_over_each_other(name: str) -> None:
    places = [(p["gridPos"], p["id"]) for p in BOARDS[name]["panels"]]
    taken: dict[tuple[int, int], int] = {}
    for place, number in places:
        assert place["x"] >= 0 and place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), number) == number
    assert [number for _, number in places] == list(range(1, len(places) + 1))
    assert all(a[0]["y"] <= b[0]["y"] for a, b in pairwise(places))


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.where)
def test_a_query_keeps_to_what_was_chosen(query: Asked) -> None:
    expr = query.expr
    assert expr.count(CHOICE) == expr.count("{") or expr.startswith("vector("), expr
    assert "[" not in expr or set(re.findall(r"\[(.*?)\]", expr)) <= {
        "$__rate_interval", "$__range",
    }, "a window of its own does not fit other scrape intervals"  # fmt: skip
    left = expand(expr, GRAFANA | defaults(BOARDS[query.board]) | {
        "namespace": ".*", "job": ".*", "instance": ".*"
    })  # fmt: skip
    assert "$" not in left


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.where)
def test_nothing_is_divided_by_zero(query: Asked) -> None:
    """Without traffic a rate is 0, and 0 / 0 is NaN, which Grafana draws as a value."""
    for found in re.finditer(r" / (?:on \(\) group_left \(\) )?", query.expr):
        by = operand(query.expr[found.end() :])
        constant = re.fullmatch(r"[\d.e]+|\(1 - \$slo / 100\)", by)
        assert constant or by.endswith(" > 0)") or by.startswith("max(count "), by


def operand(text: str) -> str:
    """The first operand: up to where its parentheses are closed, or its first space."""
    depth = 0
    for at, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth < 0 or (char == " " and depth == 0 and text[0] != "m"):
            return text[:at]
        if char == ")" and depth == 0:
            return text[: at + 1]
    return text


@pytest.mark.parametrize("query", ASKED, ids=lambda query: query.where)
def test_labels_of_a_legend_survive_the_query(query: Asked) -> None:
    """What `sum by (...)` at the front of a query drops, a legend cannot show."""
    kept = re.match(r"(?:sum|min|max|avg|count) by \((.*?)\)", query.expr)
    if kept:
        assert legend_labels(query.legend) <= {label.strip() for label in kept[1].split(",")}
    assert families(query.expr) or query.expr.startswith("vector(")
