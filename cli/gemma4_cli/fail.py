"""Words on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer
from gemma4_runtime.logs.text import printable
from gemma4_runtime.one_line import without_middle

__all__ = ["fail", "fail_import", "missing"]


def fail(message: str, *, code: int) -> NoReturn:
    """End the command with ``gemma4: message``, without what a terminal would obey: a server, or
    a file, may have chosen its words. A line that is very long loses its middle."""
    shown = "\n".join(without_middle(printable(line)) for line in message.split("\n"))
    print(f"gemma4: {shown}", file=sys.stderr)
    raise typer.Exit(code)


def fail_import(error: ImportError, *, extra: str) -> NoReturn:
    """End the command because ``error`` kept it from being imported."""
    fail(missing(error, extra=extra), code=2)


def missing(error: ImportError, *, extra: str) -> str:
    """Return what to do: take another Python, or install a package of ours with ``extra`` or a
    shared library of the system."""
    from gemma4_runtime.needs import explain_import, install_extra, wrong_python

    # Not a pip of another Python, which comes first where no environment is activated.
    package = f"{error.name} is missing; {install_extra(extra)}"
    return wrong_python(extra) or explain_import(error) or package
