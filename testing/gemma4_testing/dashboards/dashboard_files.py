"""The dashboards as Grafana reads them: panels, queries, variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gemma4_testing.deploy.compose_files import ROOT

__all__ = [
    "DASHBOARDS",
    "Asked",
    "asked",
    "defaults",
    "expand",
    "families",
    "legend_labels",
    "read",
]

DASHBOARDS = ROOT / "deploy" / "monitoring" / "grafana" / "dashboards"
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_FAMILY = re.compile(r"\b((?:gemma4|nv|up)(?:_\w+)?)\{")


@dataclass(frozen=True)
class Asked:
    """One query of a panel, as it stands in the file; ``row`` is the heading above it."""

    board: str
    row: str
    panel: dict[str, Any]
    expr: str
    legend: str

    @property
    def where(self) -> str:
        return f"{self.board}: {self.panel['title']}: {self.legend}"


def read() -> dict[str, dict[str, Any]]:
    """Dashboards by the names of their files."""
    return {p.stem: json.loads(p.read_text("utf-8")) for p in sorted(DASHBOARDS.glob("*.json"))}


def asked(boards: Mapping[str, dict[str, Any]]) -> Iterator[Asked]:
    """Every query, of annotations too."""
    for name, board in boards.items():
        row = ""
        for panel in board["panels"]:
            if panel["type"] == "row":
                row = panel["title"]
            for target in panel.get("targets", ()):
                yield Asked(name, row, panel, target["expr"], target["legendFormat"])
        for mark in board["annotations"]["list"]:
            panel = {"title": mark["name"], "type": "annotation"}
            yield Asked(name, "", panel, mark["expr"], f"{mark['titleFormat']}{mark['textFormat']}")


def defaults(board: dict[str, Any]) -> dict[str, str]:
    """Variables as they are when the page opens, but those whose values are looked up."""
    return {
        v["name"]: v["current"]["value"]
        for v in board["templating"]["list"]
        if v["type"] in {"textbox", "custom", "constant"}
    }


def expand(expr: str, values: Mapping[str, str]) -> str:
    """Put the values of the variables in. Raises KeyError for one that nobody defines."""
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expr)


def families(expr: str) -> set[str]:
    """Names of the series that a query reads."""
    return set(_FAMILY.findall(expr))


def legend_labels(legend: str) -> set[str]:
    return set(re.findall(r"\{\{\s*(\w+)\s*\}\}", legend))
