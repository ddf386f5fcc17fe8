"""The report as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jinja2

from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.report.chart import COLORS, svg
from gemma4_load.report.facts import facts
from gemma4_load.report.figures import figures
from gemma4_load.report.missing import missing
from gemma4_load.report.numbers import enough, quantity
from gemma4_load.report.verdict import verdict

__all__ = ["page"]

_OVERVIEW = (
    ("ttft", "First token (TTFT)"),
    ("itl", "Further tokens (ITL)"),
    ("latency", "Whole answer (E2E)"),
)
_COLUMNS = ("mean", "p50", "p90", "p95", "p99", "max")


def _values(found: dict[str, Any] | None, keys: Sequence[str], unit: str) -> list[str]:
    """Return the cells of a distribution; ``-`` where it has too few values."""
    if not found:
        return ["-"] * len(keys)
    return [quantity(found[key], unit) if enough(key, found["count"]) else "-" for key in keys]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gemma4_load.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"quantity": quantity, "values": _values, "missing": missing}
    return environment


def page(report: dict[str, Any]) -> str:
    """Return the HTML of a report; charts are SVG inside it."""
    template = _environment().get_template("page.html.jinja")
    return template.render(
        report=report,
        verdict=verdict(report),
        facts=facts(report),
        charts=[(chart, svg(chart)) for chart in figures(report["levels"])],
        colors=COLORS,
        overview=_OVERVIEW,
        columns=list(_COLUMNS),
        request_metrics=REQUEST_METRICS.values(),
        run_metrics=RUN_METRICS.values(),
        slos=bool(report.get("slos")),
    )
