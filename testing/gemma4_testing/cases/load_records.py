"""Records and reports made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gemma4_load.drive.lag import ClientLoad
from gemma4_load.drive.level import Level, LevelResult
from gemma4_load.record import Record, Window
from gemma4_load.report.files import Results
from gemma4_load.report.summary import summarize


def record(index: int = 0, **more: Any) -> Record:
    """Due at 1.0, sent at 1.25, chunks of 2, 1 and 3 tokens at 2.0, 2.5 and 3.5, over at 4.0."""
    values: dict[str, Any] = {
        "workload": "lengths", "scheduled": 1.0, "sent": 1.25, "end": 4.0,
        "arrivals": [2.0, 2.5, 3.5], "tokens": [2, 1, 3], "prompt_tokens": 10, "output_tokens": 6,
        "finish_reason": "length", "queue": 0.125,
        "prefill": 0.5, "decode": 1.75,
    }  # fmt: skip
    return Record(index, **(values | more))


def finished(
    records: list[Record], *, lag: float = 0.001, level: Level | None = None, seconds: float = 10.0
) -> LevelResult:
    client = ClientLoad(loop_lag_p50=0.0, loop_lag_p99=lag, cpu=0.5)
    return LevelResult(level or Level(concurrency=2), records, Window(0.0, seconds), client)


def report_folder(
    folder: Path, records: list[Record], *, workload: dict[str, Any] | None = None, **more: Any
) -> Path:
    """A folder as ``gemma4 load`` leaves it."""
    result = finished(records, **more)
    results = Results(folder)
    for item in records:
        results.add(result.level.label, item, warmup=0.0)
    summary = summarize(result, (), max_client_lag=0.025, server={})
    results.report(
        {"tool": "gemma4 load", "workload": workload or {}, "levels": [summary], "complete": True}
    )
    results.close()
    return folder
