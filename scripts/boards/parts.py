"""What a dashboard is made of.

Queries are PromQL with two short forms, so that they stay readable: ``{@}`` (or ``{@,more="x"}``)
is the choice of namespace, job and instance at the top of the page, and ``[R]`` is Grafana's
interval for rates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Board", "Kind", "Panel", "Query", "Row", "Step", "Variable", "promql", "quantile"]

Kind = Literal["timeseries", "stat", "heatmap", "bargauge", "table"]
_CHOICE = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'


def promql(text: str) -> str:
    """Write out the short forms, and put the query on one line."""
    return " ".join(text.split()).replace("{@", "{" + _CHOICE).replace("[R]", "[$__rate_interval]")


def quantile(q: float, histogram: str, by: str = "le") -> str:
    """Ask for a quantile of a histogram: no value, and not NaN, where nothing was observed."""
    return f"histogram_quantile({q}, sum by ({by}) (rate({histogram}_bucket{{@}}[R]))) >= 0"


@dataclass(frozen=True)
class Query:
    """``legend``: Grafana's, with labels as ``{{label}}``."""

    expr: str
    legend: str
    instant: bool = False


@dataclass(frozen=True)
class Step:
    """From ``value`` on, the panel has this color; ``None`` is the first step."""

    value: float | None
    color: str


@dataclass(frozen=True)
class Panel:
    """``unit`` is a unit's id in Grafana; ``width`` of 24;
    ``words`` what single values are shown as; ``empty`` what is shown without a value; ``log``: an
    axis for values of very different size."""

    title: str
    what: str
    queries: tuple[Query, ...]
    unit: str
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    low: float | None = 0
    high: float | None = None
    steps: tuple[Step, ...] = ()
    words: tuple[tuple[float, str], ...] = ()
    stacked: bool = False
    empty: str = "no requests in this time"
    decimals: int | None = None
    dashed: tuple[str, ...] = ()
    log: bool = False
    reduce: Literal["lastNotNull", "max"] = "lastNotNull"


@dataclass(frozen=True)
class Row:
    """A heading, and the panels under it from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A number at the top of the page: a free field, or one of ``choices``."""

    name: str
    label: str
    what: str
    value: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One page; ``question`` is what it answers."""

    uid: str
    question: str
    what: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())
