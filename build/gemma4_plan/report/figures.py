"""The charts of the report, drawn by what draws those of a load test."""

from __future__ import annotations

from collections.abc import Sequence

from gemma4_load.report.chart import Chart, Hover, Line

from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.sweep import Curve
from gemma4_plan.fleet.words import name_of
from gemma4_plan.simulate import Interval, Outcome, Percentiles

__all__ = ["figures"]

_HOUR = 3600.0
"""Seconds of the unit of a day's axis."""
Series = list[tuple[str, list[tuple[float, float | None]]]]


def figures(found: Answer, curves: Sequence[Curve]) -> list[Chart]:
    """Return the fleet over the day, latency over the day and against load, and cost against the
    time between tokens."""
    charts = [_fleet(found), *_over_the_day(found), *_against_load(found, curves[0])]
    if all(point.usd_per_million is not None for curve in curves for point in curve.points):
        charts.append(_cost(found, curves))
    return charts


def _chart(
    title: str, x: str, y: str, series: Series, *, digits: str = ",.3g", markers: bool = False,
    notes: Sequence[str] = (), merge: bool = True,
) -> Chart:  # fmt: skip
    """Make a chart whose values can be read on hovering and below it. ``merge``: all lines have
    the same places on the x axis."""
    lines = [Line(name, points) for name, points in series]
    table, hovers = [[x, *(name for name, _ in series)]], []
    if merge:
        for at, (place, _) in enumerate(series[0][1]):
            cells = [_text(points[at][1], digits) for _, points in series]
            table.append([f"{place:,.4g}", *cells])
            rows = [f"{name}: {cell}" for (name, _), cell in zip(series, cells, strict=True)]
            hovers.append(Hover(place, "\n".join([f"{x}: {place:,.4g}", *rows])))
    else:
        table = [["", x, y]]
        for name, points in series:
            for place, value in points:
                table.append([name, f"{place:,.4g}", _text(value, digits)])
                hovers.append(Hover(place, f"{name}\n{place:,.4g} {x}\n{_text(value, digits)} {y}"))
    return Chart(title, x, y, lines, table, hovers, markers=markers, notes=notes)


def _text(value: float | None, digits: str) -> str:
    return "-" if value is None else format(value, digits)


def _time(found: Answer) -> tuple[str, float]:
    """Return the unit of the time axis and its simulated seconds."""
    if found.traffic.length_s * found.shorter > 4 * _HOUR:
        return "hour", _HOUR / found.shorter
    return "minute", 60.0 / found.shorter


def _in_time(found: Answer, outcome: Outcome) -> list[Interval]:
    return [part for part in outcome.timeline if part.start_s < found.traffic.length_s]


def _fleet(found: Answer) -> Chart:
    unit, size = _time(found)
    slots = found.best.option.streams
    parts = _in_time(found, found.day)
    at = [(part.start_s + part.length_s / 2) / size for part in parts]
    series: Series = [
        ("copies", [(x, part.replicas) for x, part in zip(at, parts, strict=True)]),
        (
            "copies that the running requests would fill",
            [(x, part.running / slots) for x, part in zip(at, parts, strict=True)],
        ),
    ]
    if found.scaled is not None:
        scaled = _in_time(found, found.scaled.outcome)
        if len(scaled) == len(at):
            series.insert(
                1,
                ("with autoscaling", [(x, p.replicas) for x, p in zip(at, scaled, strict=True)]),
            )
    title = "The fleet over the trace" if found.question.trace else "The fleet over the day"
    return _chart(title, unit, "copies of the model", series)


def _over_the_day(found: Answer) -> list[Chart]:
    unit, size = _time(found)
    parts = [part for part in _in_time(found, found.day) if part.ttft.count]
    at = [(part.start_s + part.length_s / 2) / size for part in parts]
    asked: Series = [
        (
            "requests/s",
            [(x, part.arrived / part.length_s) for x, part in zip(at, parts, strict=True)],
        )
    ]
    day = "trace" if found.question.trace else "day"
    return [
        _chart(f"Requests over the {day}", unit, "requests/s", asked),
        *(
            _chart(f"{title} over the {day}", unit, "ms", _with_slo(
                [(name, [(x, 1e3 * getattr(_of(part, which), name))
                         for x, part in zip(at, parts, strict=True)]) for name in ("p50", "p95")],
                limit,
            ))
            for which, title, limit in _slos(found)
        ),
    ]  # fmt: skip


def _of(part: Interval | Outcome, which: str) -> Percentiles:
    return part.ttft if which == "ttft" else part.itl


def _slos(found: Answer) -> list[tuple[str, str, float | None]]:
    question = found.question
    return [
        ("ttft", "Time to the first token", question.ttft_ms),
        ("itl", "Time between two tokens", question.itl_ms),
    ]


def _with_slo(series: Series, limit: float | None) -> Series:
    if limit is not None:
        series.append(("SLO (p95)", [(x, limit) for x, _ in series[0][1]]))
    return series


def _against_load(found: Answer, curve: Curve) -> list[Chart]:
    copies = curve.candidate.needed
    note = f"{copies:,} needed cop{'y' if copies == 1 else 'ies'}, without the spare ones."
    charts = []
    for which, title, limit in _slos(found):
        series: Series = [
            (name, [(point.rate, 1e3 * getattr(_of(point.outcome, which), name))
                    for point in curve.points])
            for name in ("p50", "p95")
        ]  # fmt: skip
        chart = _chart(
            f"{title} against load", "requests/s", "ms", _with_slo(series, limit), markers=True,
            notes=[note],
        )  # fmt: skip
        charts.append(chart)
    return charts


def _cost(found: Answer, curves: Sequence[Curve]) -> Chart:
    series: Series = []
    for curve in curves:
        points = [
            (1e3 * point.outcome.itl.p95, point.usd_per_million)
            for point in curve.points
            if point.outcome.itl.count
        ]
        series.append((name_of(curve.candidate), sorted(points, key=lambda point: point[0])))
    return _chart(
        "Cost against the time between two tokens", "p95 ITL, ms", "$ for 10⁶ output tokens",
        series, markers=True, merge=False,
        notes=[
            "Each fleet as it is planned, at 25 to 130 % of the busiest load, spare copies and the "
            "middle of the rents included: who allows a slower answer pays less for a token."
        ],
    )  # fmt: skip
