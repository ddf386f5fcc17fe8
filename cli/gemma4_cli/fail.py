"""One line on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

__all__ = ["fail"]


def fail(message: str, *, code: int) -> NoReturn:
    """End the command with ``gemma4: message``."""
    print(f"gemma4: {message}", file=sys.stderr)
    raise typer.Exit(code)
