"""What a number on the command line must keep to: in words, and the bounds that commands share."""

from __future__ import annotations

from typing import Any

__all__ = [
    "MOST_COUNT", "MOST_QUEUED", "MOST_S", "MOST_SEED", "MOST_SLOTS", "MOST_THREADS", "limits",
]  # fmt: skip

MOST_COUNT = 1_000_000_000
"""Of what is only counted: requests, tokens, MiB. Sums of them fit into 64 bits."""
MOST_QUEUED, MOST_SLOTS = 1_000_000, 65_536
"""Requests that wait in an engine, and that run in it: those of an engine's manifest."""
MOST_S = 1_000_000
"""Seconds of a timeout or a pause, eleven days: calls of Linux that wait take 24 days at most."""
MOST_SEED = 2**63 - 1
"""Of a seed."""
MOST_THREADS = 4096
"""Compute threads: beyond the processors of any machine."""


def limits(param: Any) -> str:
    """Return the range of an option, such as ``at least 1``; empty where it has none."""
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    if least is not None and most is not None:
        return f"from {least} to {most}"
    if least is not None:
        return f"at least {least}"
    return "" if most is None else f"at most {most}"
