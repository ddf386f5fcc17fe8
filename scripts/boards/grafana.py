"""A board as the JSON that Grafana 12 reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from boards.parts import Board, Panel, Query, Row, Step, Variable, promql
from boards.runbooks import RUNBOOKS

__all__ = ["DOCS", "document"]

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_OURS = "gemma4|triton|gateway"
"""Jobs whose names say that they are ours: those of our compose file and of our chart."""
DOCS = "https://example.org/gemma4-triton/docs"
_FORMATS = {"heatmap": "heatmap", "table": "table"}
_SCHEMA = 41
_WIDTH = 24


def document(board: Board, all_boards: Sequence[Board]) -> dict[str, Any]:
    """Return the dashboard with links to the others."""
    return {
        "uid": board.uid,
        "title": f"Gemma 4: {board.question}",
        "description": board.what,
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "tags": ["gemma4"],
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {"list": [*_choices(), *(_number(v) for v in board.variables)]},
        "annotations": {"list": [_restarts()]},
        "links": [
            *(
                _link(f"/d/{other.uid}", other.question, keep=True)
                for other in all_boards
                if other is not board
            ),
            _link("${docs}/operations.md", "Runbooks", keep=False),
            _link("${docs}/monitoring.md", "How to read this", keep=False),
        ],
        "panels": list(_panels(board.rows)),
    }


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, y = 1, 0
    for row in rows:
        place = {"x": 0, "y": y, "w": _WIDTH, "h": 1}
        yield {
            "id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
            "gridPos": place,
        }  # fmt: skip
        number, y, x, tallest = number + 1, y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y, tallest = 0, y + tallest, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield _panel(panel, number, place)
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_dashed(panel)]},
        "options": _OPTIONS[panel.kind](panel),
        "targets": [
            _target(query, chr(ord("A") + at), panel) for at, query in enumerate(panel.queries)
        ],
    }
    if alert := RUNBOOKS.get(panel.title):
        url = f"${{docs}}/operations.md#{alert.lower()}"
        made["links"] = [{"title": "What to do", "url": url, "targetBlank": True}]
    if panel.kind == "table":  # labels are its columns; the value is always 1
        hidden = {"Time": True, "Value": True}
        made["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return made


def _target(query: Query, ref: str, panel: Panel) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": _SOURCE,
        "editorMode": "code",
        "expr": promql(query.expr),
        "legendFormat": query.legend,
        "range": not query.instant,
        "instant": query.instant,
        "format": _FORMATS.get(panel.kind, "time_series"),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps = panel.steps or (Step(None, "green" if panel.kind == "stat" else "blue"),)
    found: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": panel.empty,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": step.value, "color": step.color} for step in steps],
        },
        "mappings": [
            {"type": "value", "options": {f"{value:g}": {"text": word, "index": at}}}
            for at, (value, word) in enumerate(panel.words)
        ],
    }
    for key, value in (("min", panel.low), ("max", panel.high), ("decimals", panel.decimals)):
        if value is not None:
            found[key] = value
    if panel.kind == "timeseries":
        found["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if panel.stacked else 8,
            "showPoints": "auto",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
            "scaleDistribution": {"type": "log", "log": 10} if panel.log else {"type": "linear"},
        }
    return found


def _dashed(panel: Panel) -> Iterator[dict[str, Any]]:
    """Limits are drawn as dashed lines, apart from the stack."""
    for legend in panel.dashed:
        yield {
            "matcher": {"id": "byName", "options": legend},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
                {"id": "custom.fillOpacity", "value": 0},
                {"id": "custom.stacking", "value": {"mode": "none", "group": "limit"}},
            ],
        }


def _series(panel: Panel) -> dict[str, Any]:
    many = len(panel.queries) > 1 or "{{" in panel.queries[0].legend
    return {
        "legend": {
            "displayMode": "table", "placement": "bottom", "showLegend": many,
            "calcs": ["mean", "max", "lastNotNull"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }  # fmt: skip


def _single(panel: Panel) -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": [panel.reduce], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none" if panel.words else "area",
        "textMode": "value_and_name" if "{{" in panel.queries[0].legend else "auto",
        "orientation": "auto",
        "justifyMode": "auto",
    }


def _bars(panel: Panel) -> dict[str, Any]:
    return {
        "reduceOptions": {"calcs": [panel.reduce], "fields": "", "values": False},
        "displayMode": "basic",
        "orientation": "horizontal",
        "valueMode": "color",
    }


def _heatmap(panel: Panel) -> dict[str, Any]:
    return {
        "calculate": False,
        "yAxis": {"unit": panel.unit, "axisPlacement": "left"},
        "rowsFrame": {"layout": "auto"},
        "color": {"mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "steps": 64},
        "cellGap": 1,
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "tooltip": {"mode": "single", "yHistogram": False},
    }


def _table(panel: Panel) -> dict[str, Any]:
    return {"showHeader": True, "cellHeight": "sm"}


_OPTIONS = {
    "timeseries": _series,
    "stat": _single,
    "bargauge": _bars,
    "heatmap": _heatmap,
    "table": _table,
}


def _choices() -> list[dict[str, Any]]:
    source = {
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "description": "The Prometheus that has the metrics.", "current": {}, "hide": 0,
    }  # fmt: skip
    docs = {
        "name": "docs", "label": "Docs at", "type": "textbox", "query": DOCS, "hide": 0,
        "description": "Where the folder docs/ of the repository can be read, for the links.",
        "current": {"text": DOCS, "value": DOCS},
    }  # fmt: skip
    ours = f'up{{job=~".*({_OURS}).*"}}'
    here = 'up{namespace=~"$namespace"}'
    these = 'up{namespace=~"$namespace",job=~"$job"}'
    return [
        source,
        _labels("namespace", "Namespace", ours, "Of Kubernetes; elsewhere there is none.", any_=1),
        _labels("job", "Job", here, "Jobs of Prometheus whose names match the variable's pattern."),
        _labels("instance", "Instance", these, "A server or a gateway; All adds them up.", any_=1),
        docs,
    ]


def _labels(name: str, label: str, of: str, what: str, any_: int = 0) -> dict[str, Any]:
    """``any_``: All means any value, and none at all too; else all that are found."""
    query = f"label_values({of},{name})"
    found: dict[str, Any] = {
        "name": name,
        "label": label,
        "description": what,
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor"},
        "regex": "" if any_ else f"/{_OURS}/",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }
    return found | {"allValue": ".*"} if any_ else found


def _number(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "label": variable.label,
        "description": variable.what,
        "type": "custom" if variable.choices else "textbox",
        "query": ",".join(variable.choices) or variable.value,
        "current": {"text": variable.value, "value": variable.value},
        "hide": 0,
    }


def _restarts() -> dict[str, Any]:
    """Mark in all graphs where an engine was started again."""
    return {
        "name": "Restarts",
        "enable": True,
        "iconColor": "red",
        "datasource": _SOURCE,
        "expr": promql(
            "sum by (instance, reason) (increase(gemma4_engine_restarts_total{@}[R])) > 0"
        ),
        "titleFormat": "Engine restarted: {{reason}}",
        "textFormat": "{{instance}}",
    }


def _link(url: str, title: str, *, keep: bool) -> dict[str, Any]:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "dashboard" if keep else "doc",
        "keepTime": keep,
        "includeVars": keep,
        "targetBlank": not keep,
        "asDropdown": False,
        "tags": [],
        "tooltip": "",
    }
