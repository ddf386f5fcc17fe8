"""``--log-format``: JSON for programs, or text for a person who looks at a terminal."""

from __future__ import annotations

from typing import TextIO

from gemma4_runtime.logs.form import LogForm
from rich.console import Console

from gemma4_cli.fail import fail

__all__ = ["HELP", "chosen_form"]

HELP = "text, json, or auto: text on a terminal."


def chosen_form(wanted: str, stream: TextIO | None) -> LogForm:
    """Return the form for a log on ``stream``, or end the command where ``wanted`` is none. There
    are colors where rich would show some: not with NO_COLOR or on a dumb terminal."""
    if wanted not in ("auto", "text", "json"):
        fail(f"--log-format {wanted}: use text, json or auto", code=2)
    terminal = stream is not None and stream.isatty()
    if wanted == "json" or (wanted == "auto" and not terminal):
        return "json"
    console = Console(file=stream)
    return "color" if terminal and console.color_system and not console.no_color else "text"
