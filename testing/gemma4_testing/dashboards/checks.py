"""What is asked of every query."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from gemma4_testing.dashboards.dashboard_files import Asked, expand, families, legend_labels
from gemma4_testing.dashboards.real_prometheus import RealPrometheus, Series

__all__ = ["MAY_BE_EMPTY", "MAY_BE_ZERO", "MOST_SERIES", "Answer", "ask_all", "wrong"]

MOST_SERIES = 40
"""A page with more lines is no picture; the buckets of a histogram are 24 at most."""
MAY_BE_ZERO = {
    "gemma4_draining": "nobody drains for long enough to be seen each time",
    "gemma4_gateway_draining": "the gateway is stopped after the last question",
    "gemma4_gateway_dns_failures": "the name is found",
    "gemma4_gateway_evicted_uploads": "needs gigabytes of bodies on their way",
    "gemma4_gateway_held_bytes": "a body lies there for a moment",
    "gemma4_gateway_log_lines_dropped": "the log is read",
    "gemma4_gateway_uploads": "a body is on its way for a moment",
    "nv_inference_pending_request_count": "Triton hands requests on at once",
}
"""Families that may be 0 all the time, and why; any other query must be more than that once."""
MAY_BE_EMPTY = {
    "nv_inference_request_failure": "shows only what failed inside Triton",
    "gemma4_gateway_backend_refusals_total": "a back end refuses only where the moment is bad",
}
"""Families whose query may have no series in one run, and why."""


@dataclass(frozen=True)
class Answer:
    """Of one query over all of the run."""

    asked: Asked
    query: str
    series: list[Series]
    error: str = ""


def ask_all(
    queries: list[Asked],
    prometheus: RealPrometheus,
    variables: dict[str, dict[str, str]],
    start: float,
    end: float,
) -> Iterator[Answer]:
    """Ask as Grafana does for a graph from ``start`` to ``end`` (Unix times)."""
    for asked in queries:
        query = expand(asked.expr, variables[asked.board])
        try:
            yield Answer(asked, query, prometheus.ask(query, start, end))
        except ValueError as error:
            yield Answer(asked, query, [], str(error))


def wrong(answer: Answer, *, traffic: bool) -> str:
    """Return "", or what is wrong. Without traffic a query may have no series, but no NaN."""
    if answer.error:
        return answer.error
    if not all(one.finite for one in answer.series):
        return "has values that are no numbers"
    if len(answer.series) > MOST_SERIES:
        return f"has {len(answer.series)} series"
    lost = {
        label
        for label in legend_labels(answer.asked.legend)
        if any(label not in one.labels for one in answer.series)
    }
    if lost:
        return f"has no label {', '.join(sorted(lost))}"
    if not traffic:
        return ""
    used = families(answer.query)
    if not answer.series:
        return "" if used & set(MAY_BE_EMPTY) else "has no series"
    highest = max(max(abs(value) for _, value in one.points) for one in answer.series)
    if math.isclose(highest, 0) and not used & set(MAY_BE_ZERO):
        return "is always 0"
    return ""
