"""One panel as HTML."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

from gemma4_testing.dashboards.checks import Answer
from gemma4_testing.dashboards.real_prometheus import Series
from gemma4_testing.dashboards.units import shown

__all__ = ["drawn"]

_IDS = count()
_COLORS = {
    "green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2",
    "transparent": "rgba(0,0,0,0)",
}  # fmt: skip
_PALETTE = (
    "#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0",
    "#37872d", "#fade2a",
)  # fmt: skip
_LAYOUT = {
    "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 84, "r": 8, "t": 6, "b": 24}, "font": {"color": "#8e8e99", "size": 11},
    "showlegend": False,
}  # fmt: skip


def drawn(panel: dict[str, Any], answers: Sequence[Answer], start: float, end: float) -> str:
    """Return its inside, or the words that it has for no values."""
    plain = panel["fieldConfig"]["defaults"]
    if not any(answer.series for answer in answers):
        return f'<div class="empty">{html.escape(plain["noValue"])}</div>'
    if panel["type"] == "stat":
        return _stat(answers, plain)
    if panel["type"] == "bargauge":
        return _bars(answers, plain)
    if panel["type"] == "table":
        return _table(answers)
    window = [datetime.fromtimestamp(when).isoformat() for when in (start, end)]
    if panel["type"] == "heatmap":
        return _heatmap(panel, answers[0].series, window)
    return _lines(panel, answers, window)


def _name(answer: Answer, series: Series) -> str:
    return re.sub(
        r"\{\{\s*(\w+)\s*\}\}", lambda f: series.labels.get(f[1], ""), answer.asked.legend
    )


def _last(answers: Sequence[Answer]) -> list[tuple[str, float]]:
    return [(_name(a, s), s.points[-1][1]) for a in answers for s in a.series]


def _color(value: float, plain: dict[str, Any]) -> str:
    color = "blue"
    for step in plain["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return _COLORS[color]


def _text(value: float, plain: dict[str, Any]) -> str:
    for mapping in plain["mappings"]:
        found = mapping["options"].get(f"{value:g}")
        if found:
            return str(found["text"])
    return shown(value, plain["unit"], plain.get("decimals"))


def _stat(answers: Sequence[Answer], plain: dict[str, Any]) -> str:
    named = any("{{" in a.asked.legend for a in answers)
    cells = "".join(
        f'<div style="color:{_color(value, plain)};font-size:{20 if named else 34}px">'
        f"{f'<small>{html.escape(name)}</small>' if named else ''}"
        f"{html.escape(_text(value, plain))}</div>"
        for name, value in _last(answers)
    )
    return f'<div class="stat">{cells}</div>'


def _bars(answers: Sequence[Answer], plain: dict[str, Any]) -> str:
    values = _last(answers)
    most = max(value for _, value in values) or 1
    return "".join(
        f'<div class="bar"><span>{html.escape(name)}</span><i style="width:{v / most * 60:.1f}%">'
        f"</i>{html.escape(_text(v, plain))}</div>"
        for name, v in values
    )


def _table(answers: Sequence[Answer]) -> str:
    rows = [series.labels for answer in answers for series in answer.series]
    names = sorted({name for row in rows for name in row})
    head = "".join(f"<th>{name}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(row.get(n, ''))}</td>" for n in names) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _times(series: Series) -> list[str]:
    return [datetime.fromtimestamp(when).isoformat() for when, _ in series.points]


def _gaps(series: Series) -> tuple[list[str], list[float | None]]:
    """Times and values; ``None`` where a second has no value, so that no line is drawn over it."""
    whens: list[str] = []
    values: list[float | None] = []
    before: float | None = None
    for when, value in series.points:
        if before is not None and when - before > 1.5:
            whens.append(datetime.fromtimestamp(before + 1).isoformat())
            values.append(None)
        whens.append(datetime.fromtimestamp(when).isoformat())
        values.append(value)
        before = when
    return whens, values


def _lines(panel: dict[str, Any], answers: Sequence[Answer], window: list[str]) -> str:
    plain = panel["fieldConfig"]["defaults"]
    stacked = plain["custom"]["stacking"]["mode"] == "normal"
    dashed = {o["matcher"]["options"] for o in panel["fieldConfig"]["overrides"]}
    traces: list[dict[str, Any]] = []
    legend = []
    every = [(_name(a, s), s) for a in answers for s in a.series]
    for at, (name, series) in enumerate(every):
        color = _PALETTE[at % len(_PALETTE)]
        x, y = _gaps(series)
        trace: dict[str, Any] = {"x": x, "y": y, "name": name, "mode": "lines",
                                 "line": {"color": color, "width": 1.5}}  # fmt: skip
        if name in dashed:
            trace["line"]["dash"] = "dash"
        elif stacked:
            trace["stackgroup"] = "one"
        traces.append(trace)
        values = [value for _, value in series.points]
        facts = (sum(values) / len(values), max(values), values[-1])
        cells = "".join(f"<td>{shown(v, plain['unit'], plain.get('decimals'))}</td>" for v in facts)
        legend.append(
            f'<tr><td><span style="color:{color}">&#9644;</span> {html.escape(name)}</td>{cells}</tr>'
        )
    axis: dict[str, Any] = {"gridcolor": "#24272d", "zeroline": False}
    log = plain["custom"]["scaleDistribution"]["type"] == "log"
    axis |= {"type": "log", "dtick": 1} if log else _ticks(every, plain, stacked)
    limits = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": step["value"], "y1": step["value"],
         "line": {"color": _COLORS[step["color"]], "dash": "dot", "width": 1}}
        for step in plain["thresholds"]["steps"] if step["value"] is not None
    ]  # fmt: skip
    table = ""
    if panel["options"]["legend"]["showLegend"]:
        shown_rows = "".join(legend[:6]) + ("<tr><td>...</td></tr>" if len(legend) > 6 else "")
        table = (
            '<table style="font-size:10.5px;line-height:9px"><tr><th></th><th>mean</th><th>max'
            f"</th><th>last</th></tr>{shown_rows}</table>"
        )
    rows = min(len(legend), 7) + 1 if table else 0
    height = panel["gridPos"]["h"] * 38 - 34 - rows * 18
    layout = _LAYOUT | {"height": max(height, 90), "yaxis": axis, "shapes": limits,
                        "xaxis": {"range": window, "gridcolor": "#24272d", "tickformat": "%H:%M:%S"}}  # fmt: skip
    return _plot(traces, layout) + table


def _ticks(
    every: Sequence[tuple[str, Series]], plain: dict[str, Any], stacked: bool
) -> dict[str, Any]:
    """Five marks in the panel's unit."""
    tops = [max(v for _, v in s.points) for _, s in every]
    top = max([sum(tops) if stacked else max(tops), plain.get("min") or 0]) or 1.0
    top = plain.get("max") or top
    low = plain.get("min")
    if low is None:
        low = min(min(v for _, v in s.points) for _, s in every)
    marks = [low + (top - low) * i / 4 for i in range(5)]
    return {"tickvals": marks, "ticktext": [shown(m, plain["unit"], None) for m in marks],
            "range": [low, top + (top - low or 1) * 0.05]}  # fmt: skip


def _heatmap(panel: dict[str, Any], series: Sequence[Series], window: list[str]) -> str:
    """Buckets are cumulative: a row is the difference to the one below. Empty rows at both ends
    are left out, as Grafana's filter leaves the cells out."""
    ordered = sorted(series, key=lambda s: float(s.labels["le"]))
    whens = sorted({when for s in ordered for when, _ in s.points})
    below = dict.fromkeys(whens, 0.0)
    rows: list[tuple[str, list[float | None]]] = []
    for one in ordered:
        values = dict(one.points)
        cells = [max(values.get(when, 0.0) - below[when], 0.0) or None for when in whens]
        below = {when: values.get(when, 0.0) for when in whens}
        label = one.labels["le"]
        rows.append((label if "Inf" in label else shown(float(label), "s", None), cells))
    used = [at for at, (_, cells) in enumerate(rows) if any(cells)]
    rows = rows[min(used, default=0) : max(used, default=0) + 1]
    trace = {
        "type": "heatmap", "x": [datetime.fromtimestamp(w).isoformat() for w in whens],
        "y": [label for label, _ in rows], "z": [cells for _, cells in rows],
        "colorscale": "Oranges", "reversescale": False, "showscale": True, "ygap": 1,
        "colorbar": {"thickness": 8, "tickfont": {"size": 9}},
    }  # fmt: skip
    layout = _LAYOUT | {
        "height": panel["gridPos"]["h"] * 38 - 34,
        "yaxis": {"type": "category", "gridcolor": "#24272d"},
        "xaxis": {"range": window, "gridcolor": "#24272d", "tickformat": "%H:%M:%S"},
    }
    return _plot([trace], layout)


def _plot(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    where = f"p{next(_IDS)}"
    return (
        f'<div id="{where}"></div><script>Plotly.newPlot("{where}",{json.dumps(traces)},'
        f"{json.dumps(layout)},{{staticPlot:true}})</script>"
    )
