"""The file of a report to send, which is there also when the doctor does not come to its end."""

from __future__ import annotations

from pathlib import Path

from gemma4_serve.doctor.report import Report

__all__ = ["ReportFile"]


class ReportFile:
    """``path`` None: none is written. A file has all that is known so far after each finding; a
    device or a pipe gets one text, at the end. Raises :class:`OSError`."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._in_steps = path is not None and (path.is_file() or not path.exists())

    def found_more(self, report: Report) -> None:
        """Write what is known so far."""
        if self._in_steps:
            self._write(report)

    def end(self, report: Report) -> None:
        """Write a report that is whole."""
        self._write(report)

    def _write(self, report: Report) -> None:
        if self._path is not None:
            self._path.write_text(report.to_send() + "\n", encoding="utf-8")
