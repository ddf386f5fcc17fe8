"""Why a figure of a level is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.record import SHORTEST_S
from gemma4_load.report.numbers import enough, needed

__all__ = ["WITHOUT", "missing"]

_APART = "no answer had two tokens that came apart"
_SHORT = f"less than {SHORTEST_S:g} s were measured"
_SLOS = "no --slo was given"
WITHOUT = {
    "ttft": "no whole answer showed anything",
    "itl": _APART,
    "inter_chunk": "no answer came in two chunks",
    "tpot": "no whole answer had a token",
    "latency": "no request of the window came to its end",
    "queue_time": "the server does not tell it",
    "prefill_time": "the server does not tell it",
    "decode_time": "the server does not tell it",
    "user_throughput": _APART,
    "prompt_tokens": "no request of the window came to its end",
    "output_tokens": "no request of the window came to its end",
    "send_lag": "no request of the window came to its end",
    "output_throughput": _SHORT,
    "total_throughput": _SHORT,
    "request_throughput": _SHORT,
    "goodput": _SLOS,
    "attainment": _SLOS,
    "error_rate": "no request was due in the window",
    "in_flight": _SHORT,
}
"""By the name of a metric, why it can lack a value."""


def missing(level: dict[str, Any], *, keys: Iterable[str], slos: bool) -> list[str]:
    """Return a sentence for each reason why a figure of ``level`` is shown as ``-``. ``keys`` are
    the columns, such as ``p99``; ``slos`` says whether the run had any."""
    reasons: dict[str, list[str]] = {}
    for name, label in _absent(level):
        why = WITHOUT[name]
        if why == _SLOS and slos:
            why = _SHORT if name == "goodput" else WITHOUT["error_rate"]
        if why != _SLOS:  # who gave none misses none
            reasons.setdefault(why, []).append(label)
    found = [f"No {', '.join(labels)}: {why}." for why, labels in reasons.items()]
    counts = [values["count"] for values in level["requests"].values() if values]
    short = [key for key in keys if any(not enough(key, count) for count in counts)]
    if short:
        few = ", ".join(f"{key} {needed(int(key[1:]))}" for key in short)
        found.append(f"A percentile needs values beyond it ({few}); there are {min(counts)}.")
    return found


def _absent(level: dict[str, Any]) -> list[tuple[str, str]]:
    requests = [
        (name, metric.label)
        for name, metric in REQUEST_METRICS.items()
        if not level["requests"][name]
    ]
    run = [
        (name, metric.label) for name, metric in RUN_METRICS.items() if level["run"][name] is None
    ]
    return requests + run
