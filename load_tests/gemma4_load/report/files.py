"""The folder of results: written while the run goes on, so that nothing is lost with it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from gemma4_load.errors import OptionError, ResultsError
from gemma4_load.metrics import REQUEST_METRICS
from gemma4_load.record import Record

__all__ = ["COLUMNS", "Results", "read_report", "read_requests"]

_SINGLE = [name for name in REQUEST_METRICS if name != "inter_chunk"]
COLUMNS = [
    "level", "index", "workload", "status", "left", "finish_reason", "scheduled", "sent", "end",
    "measured", "chunks", *_SINGLE, "inter_chunk_max", "code", "error",
]  # fmt: skip
REPORT, REQUESTS, PAGE = "report.json", "requests.csv", "report.html"


class Results:
    """``requests.csv`` gets a row as each request ends; ``report.json`` is written anew after each
    level, then ``report.html``. Raises :class:`ResultsError` when the disk is full."""

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder = folder
        self.rows = 0
        if folder.is_dir() and any(folder.iterdir()) and not force:
            raise OptionError(f"--out {folder}: is not empty; take another or add --force")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Lines are flushed one by one: a full disk shows at once, a crash loses nothing.
            self._file = (folder / REQUESTS).open("w", newline="", encoding="utf-8", buffering=1)
            self._csv = csv.DictWriter(self._file, COLUMNS)
            self._csv.writeheader()
        except OSError as error:
            raise OptionError(f"--out {folder}: {error.strerror}; choose another --out") from None

    def add(self, label: str, record: Record, *, warmup: float) -> None:
        """Add a row; times in seconds since the start of the level. Requests of the warm-up are not
        ``measured``."""
        gaps = REQUEST_METRICS["inter_chunk"].values(record)
        row: dict[str, Any] = {
            "level": label,
            "index": record.index,
            "workload": record.workload,
            "status": record.status,
            "left": int(record.left),
            "finish_reason": record.finish_reason,
            "scheduled": f"{record.scheduled:.6f}",
            "sent": f"{record.sent:.6f}",
            "end": f"{record.end:.6f}",
            "measured": int(record.scheduled >= warmup),
            "chunks": len(record.arrivals),
            "inter_chunk_max": f"{max(gaps):.6f}" if gaps else "",
            "code": record.code,
            "error": record.error,
        }
        for name in _SINGLE:
            values = REQUEST_METRICS[name].values(record) if record.whole else []
            row[name] = f"{values[0]:.6f}" if values else ""
        try:
            self._csv.writerow(row)
        except OSError as error:
            raise self._failure(REQUESTS, error) from None
        self.rows += 1

    def report(self, report: dict[str, Any]) -> None:
        self._write(REPORT, json.dumps(report, indent=1, allow_nan=False))

    def page(self, html: str) -> None:
        self._write(PAGE, html)

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._failure(REQUESTS, error) from None

    def _write(self, name: str, text: str) -> None:
        """Write the file by renaming, so that the last good one stays until the new one is
        whole."""
        new = self.folder / f".{name}"
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(self.folder / name)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise self._failure(name, error) from None

    def _failure(self, name: str, error: OSError) -> ResultsError:
        return ResultsError(
            f"cannot write {self.folder / name}: {error.strerror}; "
            f"{self.rows} requests are kept in {self.folder / REQUESTS}"
        )


def read_report(folder: Path) -> dict[str, Any]:
    """Read ``report.json``. Raises :class:`OptionError` for a folder without a report of ours."""
    path = folder / REPORT if folder.is_dir() else folder
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["tool"] != "gemma4 load":
            raise KeyError("tool")
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise OptionError(f"{path}: is no report of `gemma4 load`") from None
    return dict(report)


def read_requests(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``requests.csv``. Raises :class:`OptionError`."""
    path = (folder if folder.is_dir() else folder.parent) / REQUESTS
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
