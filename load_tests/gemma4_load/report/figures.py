"""The plots of the page."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

__all__ = ["figures"]

_COLORS = (
    "#3f7d20", "#1f6f8b", "#b5541c", "#7a4fa3", "#9a7d0a", "#8b1e3f", "#4a5a6a", "#2f9e8f",
)  # fmt: skip
_LATENCIES = (
    ("ttft", "time to first token"),
    ("itl", "inter-token latency"),
    ("inter_chunk", "inter-chunk latency"),
    ("latency", "end-to-end latency"),
)


def _figure(title: str, x: str, y: str, **axes: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        title=title, template="plotly_white", height=360,
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        xaxis={"title": x} | axes.get("xaxis", {}),
        yaxis={"title": y, "rangemode": "tozero"} | axes.get("yaxis", {}),
        legend={"orientation": "h", "y": -0.25},
    )  # fmt: skip
    return figure


def _line(figure: go.Figure, x: list[Any], y: list[Any], name: str, at: int, **more: Any) -> None:
    color = _COLORS[at % len(_COLORS)]
    figure.add_trace(go.Scatter(x=x, y=y, name=name, line={"color": color}, **more))


def _milliseconds(values: list[float | None]) -> list[float | None]:
    return [None if value is None else value * 1000 for value in values]


def _axis(levels: list[dict[str, Any]]) -> str:
    closed = levels[0]["level"]["concurrency"] is not None
    return "concurrency" if closed else "requests/s"


def _against_load(levels: list[dict[str, Any]]) -> list[go.Figure]:
    """Plot latency against load, throughput against ITL, goodput. Levels in the order of their
    load."""
    levels = sorted(levels, key=lambda level: level["load"])
    loads = [level["load"] for level in levels]
    found = []
    for name, label in _LATENCIES[:2]:
        figure = _figure(f"{label} against load", _axis(levels), "ms")
        for at, percentile in enumerate(("p50", "p90", "p99")):
            values = [
                level["requests"][name] and level["requests"][name][percentile] for level in levels
            ]
            _line(figure, loads, _milliseconds(values), percentile, at, mode="lines+markers")
        found.append(figure)
    figure = _figure("throughput against inter-token latency", "ITL p50, ms", "output tokens/s")
    itl = [level["requests"]["itl"] and level["requests"]["itl"]["p50"] for level in levels]
    through = [level["run"]["output_throughput"] for level in levels]
    labels = [level["label"] for level in levels]
    _line(figure, _milliseconds(itl), through, "levels", 0, mode="lines+markers+text", text=labels,
          textposition="top center")  # fmt: skip
    found.append(figure)
    if any(level["run"]["goodput"] is not None for level in levels):
        figure = _figure("goodput against load", _axis(levels), "requests/s")
        for at, name in enumerate(("goodput", "request_throughput")):
            values = [level["run"][name] for level in levels]
            _line(figure, loads, values, name.replace("_", " "), at, mode="lines+markers")
        found.append(figure)
    return found


def _cdf(levels: list[dict[str, Any]], name: str, label: str) -> go.Figure | None:
    figure = _figure(f"{label}, cumulative", "ms", "share of requests", yaxis={"range": [0, 1.02]})
    for at, level in enumerate(levels):
        if found := level["requests"][name]:
            quantiles = found["quantiles"]
            share = [i / (len(quantiles) - 1) for i in range(len(quantiles))]
            _line(figure, _milliseconds(quantiles), share, level["label"], at, mode="lines")
    return figure if figure.data else None


def _timeline(levels: list[dict[str, Any]], name: str, title: str, unit: str) -> go.Figure:
    figure = _figure(f"{title}, second by second", "seconds since the level began", unit)
    for at, level in enumerate(levels):
        line = level["timeline"]
        values = _milliseconds(line[name]) if unit == "ms" else line[name]
        _line(figure, line["second"], values, level["label"], at, mode="lines")
    return figure


def figures(levels: list[dict[str, Any]]) -> list[go.Figure]:
    """Return the figures; empty without levels."""
    if not levels:
        return []
    found = _against_load(levels) if len(levels) > 1 else []
    cdfs = [_cdf(levels, name, label) for name, label in _LATENCIES]
    found += [figure for figure in cdfs if figure is not None]
    found.append(_timeline(levels, "output_tokens", "output tokens", "tokens/s"))
    found.append(_timeline(levels, "in_flight", "requests in flight", "requests"))
    found.append(_timeline(levels, "ttft_p50", "median time to first token", "ms"))
    return found
