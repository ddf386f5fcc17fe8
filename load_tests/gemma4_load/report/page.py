"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from typing import Any

import jinja2

from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.report.figures import figures
from gemma4_load.report.numbers import show

__all__ = ["page"]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gemma4_load.report", "."), autoescape=True
    )
    environment.globals["show"] = show
    return environment


def page(report: dict[str, Any]) -> str:
    """Return the HTML of a report; plotly.js is inside (about 4.6 MB), so it opens without a
    network."""
    plots = [
        figure.to_html(
            full_html=False,
            include_plotlyjs=at == 0,
            config={"displaylogo": False, "responsive": True},
        )
        for at, figure in enumerate(figures(report["levels"]))
    ]
    return _environment().get_template("page.html.jinja").render(
        report=report,
        plots=plots,
        request_metrics=REQUEST_METRICS.values(),
        run_metrics=RUN_METRICS.values(),
    )  # fmt: skip
