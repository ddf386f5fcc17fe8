"""Commands of ``gemma4 plan`` with words of a test, and what a refusal has to look like."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import typer
from gemma4_cli.main import app

__all__ = ["GROUP", "ComputedError", "check_refusal", "run"]

GROUP: Any = typer.main.get_group(app)


class ComputedError(Exception):
    """A command has taken its options, and would begin to simulate."""


def run(command: str, *words: str) -> tuple[int, str]:
    """Exit status and stderr; 0 where it began to simulate."""
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            code = GROUP.main(["plan", command, *words], prog_name="gemma4", standalone_mode=False)
        except ComputedError:
            return 0, ""
    return code or 0, said.getvalue()


def check_refusal(code: int, said: str, option: str) -> None:
    """A refusal is one line, which names an option; an answer says nothing there."""
    if code != 2:
        assert code in (0, 1) and not said, said
        return
    (line,) = said.splitlines()
    assert line.startswith("gemma4: --") or line.startswith("gemma4: give "), line
    assert len(line) < 3000
    if line.startswith("gemma4: --"):
        assert any(way in line for way in (
            "must be", "give", "known are", "Known are", "use", "needs", "leave it out", "raise",
            "only; the catalog has", "write one", "make it first", "name a file", "choose", "measure", "add", "shows", "is over",
        )), line  # fmt: skip
