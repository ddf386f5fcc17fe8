"""What a terminal shows: progress while a level runs, then its figures."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console
from rich.markup import escape

from gemma4_load.drive.run import LevelRun
from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.report.compare import Difference
from gemma4_load.report.fitting import fitting, packed
from gemma4_load.report.missing import missing
from gemma4_load.report.numbers import enough, quantity, show

__all__ = ["Terminal"]

_SHOWN = ("ttft", "itl", "inter_chunk", "tpot", "latency", "queue_time")
_PERCENTILES = ("p50", "p90", "p95", "p99")
_KEYS = ("mean", *_PERCENTILES, "max")
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
        rows = [
            [
                REQUEST_METRICS[name].label,
                *(show(found[key], "s") if enough(key, found["count"]) else "-" for key in _KEYS),
            ]
            for name in _SHOWN
            if (found := summary["requests"][name])
        ]
        if rows:
            self._out.print(
                fitting(self._out, ("ms", *_KEYS), rows, optional=("p95", "mean", "p90"))
            )
        run = [
            f"{metric.label} {quantity(summary['run'][name], metric.unit)}"
            for name, metric in RUN_METRICS.items()
            if summary["run"][name] is not None
        ]
        self._out.print(packed(run, self._out.width))
        for status, found in summary["errors"].items():
            message = next(iter(found["messages"]), "")
            self._say(f"[red]{found['count']} x {status}[/]: {escape(message)}")
        for note in summary["notes"]:
            self._say(f"note: {note}")
        for reason in summary["invalid_reasons"]:
            self._say(f"[red]NOT VALID[/]: {escape(reason)}")
        if summary["stopped"]:
            self._say(f"[red]stopped[/]: {escape(summary['stopped'])}")
        for why in missing(summary, keys=_PERCENTILES, slos=summary["run"]["goodput"] is not None):
            self._say(f"[dim]{why}[/]")
        self._out.print()

    def _say(self, text: str) -> None:
        """Print a sentence: wrapped between words in a terminal, one line elsewhere."""
        self._out.print(text, soft_wrap=not self._out.is_terminal)

    def differences(self, found: list[Difference]) -> None:
        """Print the table of a comparison."""
        colors = {"worse": "red", "better": "green", "same": "default", "-": "default"}
        rows = []
        for item in found:
            unit = "s" if item.metric.split(" ")[0] in REQUEST_METRICS else "tokens/s"
            interval = f"{item.low:.3f} to {item.high:.3f}" if item.defined else "-"
            rows.append([
                item.level, item.metric, quantity(item.a, unit), quantity(item.b, unit),
                f"{item.ratio:.3f}" if item.defined else "-", interval,
                f"[{colors[item.verdict]}]{item.verdict}[/]",
            ])  # fmt: skip
        columns = ("level", "metric", "A", "B", "B / A", "95 % interval", "verdict")
        self._out.print(fitting(self._out, columns, rows, text=("metric", "verdict")))
        if any(not item.defined for item in found):
            self._say("No B / A where A is 0, or so often 0 that the interval has no end.")
