"""The charts of the page."""

from __future__ import annotations

from typing import Any

from gemma4_load.report.chart import Chart, Hover, Line
from gemma4_load.report.courses import courses
from gemma4_load.report.numbers import enough, quantity, time_unit

__all__ = ["figures"]

Levels = list[dict[str, Any]]
LATENCIES = (
    ("ttft", "Time to first token"),
    ("itl", "Inter-token latency"),
    ("inter_chunk", "Inter-chunk latency"),
    ("latency", "End-to-end latency"),
)
_PERCENTILES = ("p50", "p90", "p99")
_SHARES = (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)
"""Percent of the requests for which the table and the mouse give the value of a distribution."""
_WIDE = 8
"""Highest load / lowest load from which the axis is logarithmic."""


def load_axis(levels: Levels) -> str:
    """Return the name of the axis of the load."""
    closed = levels[0]["level"]["concurrency"] is not None
    return "users at once (concurrency)" if closed else "requests/s that were due"


def percentile(level: dict[str, Any], name: str, key: str) -> float | None:
    """Return a figure of a level's distribution; None where it has too few values for it."""
    found = level["requests"][name]
    return found[key] if found and enough(key, found["count"]) else None


def _in(unit: str, value: float | None) -> float | None:
    return None if value is None else value * (1000 if unit == "ms" else 1)


def _by_load(title: str, unit: str, levels: Levels, rows: dict[str, list[float | None]]) -> Chart:
    """Draw a line for each of ``rows``, whose values are those of ``levels``; ``unit`` ``s`` is
    seconds, shown as ms or s."""
    loads = [level["load"] for level in levels]
    shown = time_unit(value for row in rows.values() for value in row) if unit == "s" else unit
    lines = [
        Line(name, [
            (load, _in(shown, value) if unit == "s" else value)
            for load, value in zip(loads, row, strict=True)
        ])
        for name, row in rows.items()
    ]  # fmt: skip
    table = [["level", *rows]]
    table += [
        [level["label"], *(quantity(row[at], unit) for row in rows.values())]
        for at, level in enumerate(levels)
    ]
    hovers = [
        Hover(load, "\n".join([cells[0], *map(": ".join, zip(rows, cells[1:], strict=True))]))
        for load, cells in zip(loads, table[1:], strict=True)
    ]
    return Chart(
        title, load_axis(levels), shown, lines, table, hovers, x_ticks=sorted(set(loads)),
        x_log=min(loads) > 0 and max(loads) >= _WIDE * min(loads), markers=True,
    )  # fmt: skip


def _against_load(levels: Levels) -> list[Chart]:
    """Plot latency, throughput and goodput against load."""
    levels = sorted(levels, key=lambda level: level["load"])
    found = [
        _by_load(f"{label} by load", "s", levels, {
            key: [percentile(level, name, key) for level in levels] for key in _PERCENTILES
        })
        for name, label in LATENCIES if name != "inter_chunk"
    ]  # fmt: skip
    through = {"output tokens/s": [level["run"]["output_throughput"] for level in levels]}
    found.append(_by_load("Output throughput by load", "tokens/s", levels, through))
    found.append(_throughput_by_itl(levels))
    if any(level["run"]["goodput"] is not None for level in levels):
        rows = {
            "all whole answers": [level["run"]["request_throughput"] for level in levels],
            "those that met the SLOs": [level["run"]["goodput"] for level in levels],
        }
        found.append(_by_load("Goodput by load", "requests/s", levels, rows))
    return found


def _throughput_by_itl(levels: Levels) -> Chart:
    table = [["level", "ITL p50", "output throughput"]]
    points: list[tuple[float, float | None]] = []
    hovers = []
    for level in levels:
        itl, through = percentile(level, "itl", "p50"), level["run"]["output_throughput"]
        row = [level["label"], quantity(itl, "s"), quantity(through, "tokens/s")]
        table.append(row)
        if itl is not None:
            points.append((itl * 1000, through))
            hovers.append(Hover(itl * 1000, f"{row[0]}\nITL p50: {row[1]}\n{row[2]}"))
    return Chart(
        "Output throughput by inter-token latency", "ITL p50, ms", "tokens/s",
        [Line("levels", points)], table, hovers, markers=True,
    )  # fmt: skip


def _cumulative(levels: Levels, name: str, label: str) -> Chart | None:
    with_values = [level for level in levels if level["requests"][name]]
    if not with_values:
        return None
    quantiles = {level["label"]: level["requests"][name]["quantiles"] for level in with_values}
    unit = time_unit(values[-1] for values in quantiles.values())
    lines = [
        Line(level, [
            (_in(unit, value) or 0.0, i * 100 / (len(values) - 1))
            for i, value in enumerate(values)
        ])
        for level, values in quantiles.items()
    ]  # fmt: skip
    table, hovers = [["share", *quantiles]], []
    for share in _SHARES:
        at = [
            quantity(values[round(share / 100 * (len(values) - 1))], "s")
            for values in quantiles.values()
        ]
        table.append([f"{share}%", *at])
        of = "\n".join(map(": ".join, zip(quantiles, at, strict=True)))
        hovers.append(Hover(share, f"{share}% are within\n{of}"))
    what = "gaps" if name == "inter_chunk" else "requests"
    return Chart(
        f"{label}, cumulative", unit, f"% of {what} within", lines, table, hovers,
        hover_y=True, y_top=100.0,
    )  # fmt: skip


def figures(levels: Levels) -> list[Chart]:
    """Return the charts; empty without levels."""
    if not levels:
        return []
    loads = {level["load"] for level in levels}
    found = _against_load(levels) if len(loads) > 1 else []
    distributions = [_cumulative(levels, name, label) for name, label in LATENCIES]
    found += [chart for chart in distributions if chart is not None]
    return found + courses(levels)
