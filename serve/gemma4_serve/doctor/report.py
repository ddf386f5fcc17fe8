"""Findings, and how they are shown."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from gemma4_serve.doctor.scrub import scrub

__all__ = ["Level", "Report", "Result"]

Level = Literal["ok", "info", "warn", "fail"]
_STYLE = {"ok": "green", "info": "cyan", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Result:
    """One finding. ``way_out`` says what to do; ``command`` is shown on a line of its own, to be
    copied; ``figures`` are numbers and records for the saved report."""

    name: str
    level: Level
    detail: str
    way_out: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    command: str = ""


@dataclass
class Report:
    """Findings by section, in the order they were made. ``changed`` is called after each addition,
    so that what was found is not lost when the rest does not come."""

    sections: dict[str, list[Result]] = field(default_factory=dict)
    changed: Callable[[Report], None] = lambda report: None

    def add(self, section: str, *results: Result) -> None:
        self.sections.setdefault(section, []).extend(results)
        self.changed(self)

    @property
    def failed(self) -> int:
        return sum(r.level == "fail" for results in self.sections.values() for r in results)

    def to_json(self) -> str:
        """Return one JSON object: section -> list of findings."""
        data = {name: [asdict(r) for r in results] for name, results in self.sections.items()}
        return json.dumps({"failed": self.failed, "sections": data}, indent=2)

    def to_send(self) -> str:
        """Return what :meth:`to_json` does as a file to send: with the time, with ``text``, the
        lines that a person reads, and without secrets, paths and the names of host and user."""
        clean = Report(
            {
                name: [Result(**scrub(asdict(r))) for r in results]
                for name, results in self.sections.items()
            }
        )
        shown = io.StringIO()
        clean.show(Console(file=shown, width=100))
        data = {
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "text": [line.rstrip() for line in shown.getvalue().splitlines()],
            **json.loads(clean.to_json()),
        }
        return json.dumps(data, indent=2)

    def show(self, console: Console) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for section, results in self.sections.items():
            table.add_row("", f"[bold]{section}[/bold]", "")
            for result in results:
                detail = result.detail + (f"\n→ {result.way_out}" if result.way_out else "")
                style = _STYLE[result.level]
                table.add_row(f"[{style}]{result.level:>4}[/{style}]", result.name, detail)
        console.print(table)
        for result in (each for results in self.sections.values() for each in results):
            if result.command:  # not folded: what is copied has to be whole
                line = f"\n  {result.command}"
                console.print(line, soft_wrap=True, highlight=False, markup=False)
