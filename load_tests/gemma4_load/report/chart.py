"""A line chart as SVG inside a page: no script, colors of the page, values on hovering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

from gemma4_load.report.ticks import ticks

__all__ = ["Chart", "Hover", "Line", "svg"]

WIDTH, HEIGHT = 480, 290
"""Of the drawing, in units of its view box; the page scales it."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 24, 12, 44
COLORS = 8
"""Colors of the style sheet (``c0`` and so on); further lines are dashed."""


@dataclass(frozen=True, slots=True)
class Line:
    """``points``: (x, y) in the units of the axes; where y is None the line has a gap."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Hover:
    """What the mouse shows near ``at``: a place on the x axis, or on the y axis of a chart whose
    ``hover_y`` is set."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """``table`` holds the values as text, its first row the heads. ``x_ticks`` replaces the round
    ones; ``x_log`` needs x above 0."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    table: Sequence[Sequence[str]] = ()
    hovers: Sequence[Hover] = ()
    hover_y: bool = False
    x_ticks: Sequence[float] = ()
    x_log: bool = False
    y_top: float | None = None
    markers: bool = False
    notes: Sequence[str] = ()


class _Axes:
    def __init__(self, chart: Chart) -> None:
        xs = [x for line in chart.lines for x, y in line.points if y is not None]
        ys = [y for line in chart.lines for _, y in line.points if y is not None]
        self.y_ticks = ticks(chart.y_top or max(ys, default=0.0))
        self._y_top = chart.y_top or self.y_ticks[-1]
        self._log = chart.x_log
        self.x_ticks = list(chart.x_ticks) or ticks(max(xs, default=0.0))
        low, high = (min(self.x_ticks), max(self.x_ticks)) if chart.x_ticks else (0.0, 0.0)
        if not chart.x_ticks:
            high = max(xs, default=0.0) or self.x_ticks[-1]
            self.x_ticks = [tick for tick in self.x_ticks if tick <= high * 1.001]
        self._low, self._high = self._scale(low), self._scale(high)

    def _scale(self, x: float) -> float:
        return math.log(x) if self._log else x

    def x(self, value: float) -> float:
        span = self._high - self._low
        share = (self._scale(value) - self._low) / span if span else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - value / self._y_top * (HEIGHT - _TOP - _BOTTOM)


def _number(value: float) -> str:
    return f"{value:,.10g}" if abs(value) < 10_000 else f"{value / 1000:,.10g}k"


def _place(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: str | float) -> ET.Element:
    named = {
        name.rstrip("_").replace("_", "-"): value if isinstance(value, str) else _place(value)
        for name, value in attributes.items()
    }
    child = ET.SubElement(parent, tag, named)
    child.text = text or None
    return child


def svg(chart: Chart) -> str:
    """Return the ``<svg>`` element. Its text is escaped; its colors are the classes ``c0`` to
    ``c7``."""
    axes = _Axes(chart)
    root = ET.Element(
        "svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img", "aria-label": chart.title}
    )
    _grid(root, chart, axes)
    for at, line in enumerate(chart.lines):
        _line(root, line, axes, at, markers=chart.markers)
    _hovers(root, chart, axes)
    return ET.tostring(root, encoding="unicode")


def _grid(root: ET.Element, chart: Chart, axes: _Axes) -> None:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for tick in axes.y_ticks:
        y = axes.y(tick)
        _add(root, "path", d=f"M{_LEFT} {_place(y)}H{right}", class_="grid")
        _add(root, "text", _number(tick), x=_LEFT - 6, y=y + 4, class_="end")
    taken = -math.inf
    for tick in axes.x_ticks:
        x, text = axes.x(tick), _number(tick)
        half = 4 * len(text)
        if x - half < taken:  # it would touch the one before
            continue
        taken = x + half + 6
        _add(root, "path", d=f"M{_place(x)} {bottom}v4", class_="axis")
        _add(root, "text", text, x=x, y=bottom + 17, class_="middle")
    _add(root, "path", d=f"M{_LEFT} {bottom}H{right}", class_="axis")
    _add(root, "text", chart.x, x=(_LEFT + right) / 2, y=HEIGHT - 6, class_="middle name")


def _line(root: ET.Element, line: Line, axes: _Axes, at: int, *, markers: bool) -> None:
    color = f"c{at % COLORS}" + (" dashed" if at >= COLORS else "")
    path, pen = "", "M"
    for x, y in line.points:
        if y is None:
            pen = "M"
            continue
        path += f"{pen}{_place(axes.x(x))} {_place(axes.y(y))}"
        pen = "L"
    if not path:
        return
    _add(root, "path", d=path, class_=f"line {color}")
    shown = [(x, y) for x, y in line.points if y is not None]
    if markers or len(shown) == 1:
        for x, y in shown:
            _add(root, "circle", cx=axes.x(x), cy=axes.y(y), r="3.5", class_=f"dot {color}")


def _hovers(root: ET.Element, chart: Chart, axes: _Axes) -> None:
    """Cut the drawing into a stripe for each text; its borders lie between the places."""
    places = sorted(
        (axes.y(hover.at) if chart.hover_y else axes.x(hover.at), hover.text)
        for hover in chart.hovers
    )
    edges = [(a[0] + b[0]) / 2 for a, b in pairwise(places)]
    first, last = (_TOP, HEIGHT - _BOTTOM) if chart.hover_y else (_LEFT, WIDTH - _RIGHT)
    bounds = [float(first), *edges, float(last)]
    for (_, text), (low, high) in zip(places, pairwise(bounds), strict=False):
        size = max(high - low, 0.1)
        stripe: dict[str, str | float] = (
            {"x": _LEFT, "y": low, "width": WIDTH - _LEFT - _RIGHT, "height": size}
            if chart.hover_y
            else {"x": low, "y": _TOP, "width": size, "height": HEIGHT - _TOP - _BOTTOM}
        )
        rect = _add(root, "rect", "", **stripe, class_="hover")
        _add(rect, "title", text)
