"""Draw a dashboard as Grafana would: the grid, titles, units, thresholds and legends of its JSON,
with the answers of Prometheus. plotly draws, and a headless Chromium takes the picture."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from gemma4_testing.dashboards.checks import Answer
from gemma4_testing.dashboards.panels import drawn

__all__ = ["draw"]

_WIDTH, _ROW = 1600, 38
"""Pixels of the page, and of one row of the grid: Grafana's."""
_STYLE = """
body{margin:0;background:#111217;color:#ccccdc;font:13px Inter,Helvetica,Arial,sans-serif}
h1{font-size:18px;font-weight:500;margin:0;padding:10px 14px}
.choice{padding:0 14px 8px;color:#8e8e99}.choice b{color:#ccccdc;font-weight:500;margin-right:14px}
.grid{position:relative}
.row{position:absolute;font-size:15px;font-weight:500;padding-top:14px}
.panel{position:absolute;background:#181b1f;border:1px solid #2a2d33;border-radius:3px;
overflow:hidden;box-sizing:border-box;padding:6px 8px}
.title{font-weight:500;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.stat{display:flex;flex-wrap:wrap;align-items:center;justify-content:center;height:85%;gap:4px 22px;
text-align:center}.stat div{font-size:30px;font-weight:500}.stat small{display:block;font-size:12px;
color:#8e8e99;font-weight:400}
.empty{display:flex;height:85%;align-items:center;justify-content:center;color:#8e8e99}
.bar{display:flex;align-items:center;gap:8px;margin:7px 0}.bar span{width:150px;overflow:hidden}
.bar i{background:#5794f2;height:22px;display:block}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:4px 10px;
border-bottom:1px solid #2a2d33}
"""


def draw(
    boards: Mapping[str, dict[str, Any]],
    answers: Sequence[Answer],
    folder: Path,
    start: float,
    end: float,
) -> None:
    """Write NAME.html and NAME.png of each board into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plotly.js").write_text(get_plotlyjs(), encoding="utf-8")
    for name, board in boards.items():
        mine = [answer for answer in answers if answer.asked.board == name]
        height = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"]) * _ROW + 80
        page = folder / f"{name}.html"
        page.write_text(_page(board, mine, start, end, height), encoding="utf-8")
        _picture(page, height)


def _page(
    board: dict[str, Any], answers: Sequence[Answer], start: float, end: float, height: int
) -> str:
    parts = []
    for panel in board["panels"]:
        place = panel["gridPos"]
        unit = _WIDTH / 24
        box = (
            f"left:{place['x'] * unit + 3:.0f}px;top:{place['y'] * _ROW}px;"
            f"width:{place['w'] * unit - 6:.0f}px;height:{place['h'] * _ROW - 6}px"
        )
        if panel["type"] == "row":
            parts.append(
                f'<div class="row" style="{box};padding-left:14px">'
                f"&#9662; {html.escape(panel['title'])}</div>"
            )
            continue
        mine = [answer for answer in answers if answer.asked.panel.get("id") == panel["id"]]
        title = html.escape(panel["title"])
        inner = drawn(panel, mine, start, end)
        parts.append(
            f'<div class="panel" style="{box}"><div class="title">{title}</div>{inner}</div>'
        )
    choices = " ".join(
        f"{html.escape(v.get('label') or v['name'])} <b>{html.escape(_chosen(v['current']))}</b>"
        for v in board["templating"]["list"]
    )
    return (
        f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style>"
        f'<script src="plotly.js"></script><h1>{html.escape(board["title"])}</h1>'
        f'<div class="choice">{choices}</div><div class="grid" style="height:{height}px">'
        f"{''.join(parts)}</div>"
    )


def _chosen(current: dict[str, Any]) -> str:
    text = current.get("text", "default")
    return text if isinstance(text, str) else " + ".join(text)


def _picture(page: Path, height: int) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        raise SystemExit("no chromium: apt-get install chromium")
    profile = page.with_suffix(".profile")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={profile}", f"--window-size={_WIDTH},{height}",
            "--virtual-time-budget=8000", f"--screenshot={page.with_suffix('.png')}",
            page.resolve().as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    shutil.rmtree(profile, ignore_errors=True)
    if done.returncode or not page.with_suffix(".png").exists():
        raise SystemExit(f"chromium: {re.sub(r'(?m)^.*ERROR:.*$', '', done.stderr)[-500:]}")
