"""Charts of how levels went, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gemma4_load.report.chart import Chart, Hover, Line
from gemma4_load.report.numbers import quantity, time_unit

__all__ = ["courses"]

_CELLS = 480
"""Values that the table and the mouse give for one chart; longer runs are averaged."""
_MOST, _LEAST = 90, 30
"""Steps of time in one chart."""
_COURSES = (
    ("output_tokens", "Output tokens over time", "tokens/s"),
    ("in_flight", "Requests in flight over time", "requests"),
    ("ttft_p50", "Median time to first token over time", "s"),
    ("errors", "Failed requests over time", "requests/s"),
)


def _averaged(values: Sequence[float | None], step: int) -> list[float | None]:
    """Return the mean of every ``step`` seconds; the last step may be shorter."""
    found: list[float | None] = []
    for at in range(0, len(values), step):
        some = [value for value in values[at : at + step] if value is not None]
        found.append(float(np.mean(some)) if some else None)
    return found


def _course(levels: list[dict[str, Any]], name: str, title: str, unit: str, step: int) -> Chart:
    rows = {level["label"]: _averaged(level["timeline"][name], step) for level in levels}
    shown = time_unit(value for row in rows.values() for value in row) if unit == "s" else unit
    factor = 1000 if shown == "ms" else 1
    lines = [
        Line(label, [
            (float(at * step), None if value is None else value * factor)
            for at, value in enumerate(row)
        ])
        for label, row in rows.items()
    ]  # fmt: skip
    table, hovers = [["second", *rows]], []
    for at in range(max(map(len, rows.values()))):
        cells = [quantity(row[at], unit) if at < len(row) else "" for row in rows.values()]
        table.append([str(at * step), *cells])
        text = "\n".join(
            f"{label}: {cell}" for label, cell in zip(rows, cells, strict=True) if cell
        )
        hovers.append(Hover(at * step, f"{at * step} s\n{text}"))
    notes = [f"Each point is the mean of {step} seconds."] if step > 1 else []
    x = "seconds since the level began"
    return Chart(title, x, shown, lines, table, hovers, markers=len(table) < 4, notes=notes)


def courses(levels: list[dict[str, Any]]) -> list[Chart]:
    """Return the charts over time; that of failures only where there are some."""
    seconds = max(len(level["timeline"]["second"]) for level in levels)
    steps = min(_MOST, max(_LEAST, _CELLS // len(levels)))
    step = -(-seconds // steps)
    return [
        _course(levels, *course, step)
        for course in _COURSES
        if course[0] != "errors" or any(any(level["timeline"]["errors"]) for level in levels)
    ]
