"""A level's figures, as the JSON report has them. Times are seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gemma4_load.drive.level import LevelResult
from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS, Slo
from gemma4_load.metrics.distribution import distribution
from gemma4_load.record import Record

__all__ = ["summarize", "timeline"]

_EXAMPLES = 3
"""Messages of errors that the report shows, the most frequent ones."""


def summarize(
    result: LevelResult, slos: Sequence[Slo], *, max_client_lag: float, server: dict[str, Any]
) -> dict[str, Any]:
    """Summarize a level. ``max_client_lag`` in seconds: beyond it the level is invalid."""
    due = result.window.started(result.records)
    whole = [record for record in due if record.whole]
    requests = {
        name: distribution([value for record in whole for value in metric.values(record)])
        for name, metric in REQUEST_METRICS.items()
    }
    lag = requests["send_lag"]
    open_loop = result.level.concurrency is None
    faults = result.client.faults(lag.p99 if lag and open_loop else None, max_client_lag)
    if not whole:
        faults.append(_nothing_whole(due))
    failed = Counter(record.status for record in due if record.failed)
    return {
        "label": result.level.label,
        "load": result.level.load,
        "level": asdict(result.level),
        "window": asdict(result.window),
        "valid": not faults and not result.stopped,
        "invalid_reasons": faults,
        "stopped": result.stopped,
        "notes": result.notes,
        "counts": {
            "sent": len(result.records),
            "measured": len(due),
            "whole": len(whole),
            "failed": sum(failed.values()),
            "left": sum(record.left for record in due),
        },
        "errors": {status: _error(status, count, due) for status, count in failed.items()},
        "requests": {name: found and asdict(found) for name, found in requests.items()},
        "run": {
            name: metric.value(result.records, result.window, slos)
            for name, metric in RUN_METRICS.items()
        },
        "client": asdict(result.client),
        "server": server,
        "timeline": timeline(result.records),
    }


def _nothing_whole(due: list[Record]) -> str:
    """Say why there are no figures, and the way out."""
    text = "no request of the window came to its end"
    failed = Counter(record.error for record in due if record.failed)
    if failed:
        return f"{text}; the most frequent error: {failed.most_common(1)[0][0]}"
    if not due:
        return f"{text}: all were sent in the warm-up; raise --duration, or lower --warmup"
    return f"{text}: the client left each one; lower --cancel-share, or raise --duration"


def _error(status: str, count: int, records: list[Record]) -> dict[str, Any]:
    found = [record for record in records if record.status == status]
    texts = Counter(record.error for record in found)
    codes = Counter(record.code for record in found if record.code)
    return {"count": count, "codes": dict(codes), "messages": dict(texts.most_common(_EXAMPLES))}


def timeline(records: list[Record]) -> dict[str, list[float | None]]:
    """Return the course of a level second by second since the start: output tokens, requests due,
    errors, requests in flight (at its end), median TTFT of the requests that were due in it."""
    seconds = int(max((record.end for record in records), default=0.0)) + 1
    tokens, sent, errors = np.zeros(seconds), np.zeros(seconds), np.zeros(seconds)
    change = np.zeros(seconds + 1)
    first: list[list[float]] = [[] for _ in range(seconds)]
    for record in records:
        at = int(record.scheduled)
        sent[at] += 1
        errors[int(record.end)] += record.failed
        change[at] += 1
        change[int(record.end)] -= 1
        if record.arrivals:
            first[at].append(record.arrivals[0] - record.scheduled)
        for time, count in zip(record.arrivals, record.tokens, strict=True):
            tokens[int(time)] += count
    return {
        "second": [float(i) for i in range(seconds)],
        "output_tokens": tokens.tolist(),
        "requests": sent.tolist(),
        "errors": errors.tolist(),
        "in_flight": np.cumsum(change)[:seconds].tolist(),
        "ttft_p50": [float(np.median(values)) if values else None for values in first],
    }
