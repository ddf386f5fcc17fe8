"""What a terminal shows: progress while a level runs, then its figures."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console
from rich.table import Table

from gemma4_load.drive.run import LevelRun
from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.report.compare import Difference
from gemma4_load.report.numbers import show

__all__ = ["Terminal"]

_SHOWN = ("ttft", "itl", "inter_chunk", "tpot", "latency", "queue_time")
_EVERY_S = 0.5
"""Seconds between two lines of progress."""


class Terminal:
    """Progress goes to stderr, one line that is written over; without a terminal, nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._out = Console(highlight=False)
        self._err = Console(stderr=True, highlight=False)
        self._quiet = quiet

    def watch(self, run: LevelRun) -> asyncio.Task[None] | None:
        """Call it in the event loop."""
        if self._quiet or not self._err.is_terminal:
            return None
        return asyncio.create_task(self._watch(run))

    async def _watch(self, run: LevelRun) -> None:
        before = 0.0
        with self._err.status(run.level.label) as status:
            while True:
                await asyncio.sleep(_EVERY_S)
                rate, before = (run.tokens - before) / _EVERY_S, run.tokens
                errors = f", [red]{run.failed} failed[/]" if run.failed else ""
                status.update(
                    f"{run.level.label}: {run.now():.0f} s, {run.active} in flight, "
                    f"{len(run.records)} done{errors}, {rate:,.0f} tokens/s"
                )

    def level(self, summary: dict[str, Any]) -> None:
        """Print the figures of a level."""
        if self._quiet:
            return
        counts, window = summary["counts"], summary["window"]
        self._out.print(
            f"[bold]{summary['label']}[/]: {counts['measured']} requests measured in "
            f"{window['end'] - window['begin']:.1f} s, {counts['failed']} failed"
            + (f", {counts['left']} left" if counts["left"] else "")
        )
        table = Table(box=None, pad_edge=False)
        for name in ("ms", "mean", "p50", "p90", "p95", "p99", "max"):
            table.add_column(name, justify="left" if name == "ms" else "right")
        for name in _SHOWN:
            if found := summary["requests"][name]:
                cells = [
                    show(found[key], "s") for key in ("mean", "p50", "p90", "p95", "p99", "max")
                ]
                table.add_row(REQUEST_METRICS[name].label, *cells)
        self._out.print(table)
        run = [
            f"{metric.label} {show(summary['run'][name], metric.unit)}"
            + (f" {metric.unit}" if metric.unit not in ("share", "requests") else "")
            for name, metric in RUN_METRICS.items()
            if summary["run"][name] is not None
        ]
        self._out.print("  ".join(run), soft_wrap=True)
        for status, found in summary["errors"].items():
            message = next(iter(found["messages"]), "")
            self._out.print(f"[red]{found['count']} x {status}[/]: {message}", soft_wrap=True)
        for note in summary["notes"]:
            self._out.print(f"note: {note}", soft_wrap=True)
        for reason in summary["invalid_reasons"]:
            self._out.print(f"[red]NOT VALID[/]: {reason}", soft_wrap=True)
        if summary["stopped"]:
            self._out.print(f"[red]stopped[/]: {summary['stopped']}", soft_wrap=True)
        self._out.print()

    def differences(self, found: list[Difference]) -> None:
        """Print the table of a comparison."""
        table = Table(box=None, pad_edge=False)
        for name in ("level", "metric", "A", "B", "B / A", "95 % interval", ""):
            table.add_column(name, justify="left" if name in ("level", "metric", "") else "right")
        colors = {"worse": "red", "better": "green", "same": "default"}
        for item in found:
            metric = item.metric.split(" ")[0]
            unit = "s" if metric in REQUEST_METRICS else "tokens/s"
            table.add_row(
                item.level, item.metric, show(item.a, unit), show(item.b, unit),
                f"{item.ratio:.3f}", f"{item.low:.3f} to {item.high:.3f}",
                f"[{colors[item.verdict]}]{item.verdict}[/]",
            )  # fmt: skip
        self._out.print(table)
