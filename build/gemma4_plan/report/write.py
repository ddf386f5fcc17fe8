"""The report as a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.sweep import sweep
from gemma4_plan.report.page import page
from gemma4_plan.second.opinion import Opinion
from gemma4_plan.speed.fitted import Fitted

__all__ = ["check_report", "write_report"]


def check_report(path: Path | None) -> None:
    """Raise :class:`BadQuestionError`, before anything is simulated, for what cannot be written."""
    if path is None:
        return
    folder = path.parent
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadQuestionError(f"--report {path}: {error.strerror}; choose another file") from None
    if path.is_dir():
        raise BadQuestionError(f"--report {path}: is a folder; name a file, such as plan.html")
    if not folder.is_dir():
        raise BadQuestionError(f"--report {path}: there is no folder {folder}; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise BadQuestionError(f"--report {path}: cannot be written; choose another file")


def write_report(
    path: Path,
    found: Answer,
    fitted: Fitted,
    tick: Callable[[str], None],
    opinion: Opinion | None = None,
) -> None:
    """Simulate other loads for the charts, and write the page. Raises :class:`BadQuestionError`
    where the file cannot be written."""
    text = page(found, sweep(found, fitted, tick), opinion)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadQuestionError(f"--report {path}: {error.strerror}; choose another file") from None
