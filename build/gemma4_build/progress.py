"""Show how far a build is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

__all__ = ["ConsoleReporter", "Reporter", "SilentReporter", "Tick"]

_LINE_EVERY_S = 10.0
"""Seconds between two lines of progress where no bar can be drawn."""


class Tick(Protocol):
    """Call with the number of bytes done since the last call."""

    def __call__(self, count: int) -> None: ...


class Reporter(Protocol):
    """Where a build says what it does."""

    def say(self, text: str) -> None:
        """Print a line of news."""

    def bytes(self, title: str, *, total: int, done: int = 0) -> AbstractContextManager[Tick]:
        """Begin a stage of ``total`` bytes of which ``done`` were done before."""


class SilentReporter:
    """Says nothing."""

    def say(self, text: str) -> None:
        del text

    @contextmanager
    def bytes(self, title: str, *, total: int, done: int = 0) -> Iterator[Tick]:
        del title, total, done
        yield lambda count: None


class ConsoleReporter:
    """Writes to a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def bytes(self, title: str, *, total: int, done: int = 0) -> Iterator[Tick]:
        if not self._console.is_terminal:
            yield self._lines(title, total, done)
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=total, completed=done)
            yield lambda count: progress.advance(task, count)

    def _lines(self, title: str, total: int, done: int) -> Tick:
        state = {"done": done, "since": time.monotonic(), "line": time.monotonic()}
        first = done

        def tick(count: int) -> None:
            state["done"] += count
            now = time.monotonic()
            if now - state["line"] < _LINE_EVERY_S:
                return
            state["line"] = now
            rate = max(1.0, (state["done"] - first) / (now - state["since"]))
            left = (total - state["done"]) / rate
            self.say(
                f"{title}: {100 * state['done'] / max(1, total):.0f}% of {total / 1e9:.2f} GB, "
                f"{rate / 1e6:.0f} MB/s, {left:.0f} s left"
            )

        return tick
