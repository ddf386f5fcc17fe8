"""Break on purpose. ``TRTLLM_DOUBLE_FAULT`` is ``NAME=VALUE`` pairs, separated by commas.

``start_error=TEXT``: the constructor raises. Counted in tokens of one request: ``fail_at=N`` that
request fails; ``die_at=N`` the executor dies, and says so; ``mute_at=N`` it dies and no stream
hears of it, only the health check does; ``kill_at=N`` the process ends at once.

``unguided=1``: guides are dropped; ``seedless=1``: seeds are; ``no_statistics=1``: none are given.
"""

from __future__ import annotations

import os

_COUNTS = ("fail_at", "die_at", "mute_at", "kill_at")
_OTHERS = ("start_error", "unguided", "seedless", "no_statistics")


def load() -> dict[str, str]:
    """Raises ValueError for a name that does not exist."""
    faults = {}
    for part in filter(None, os.environ.get("TRTLLM_DOUBLE_FAULT", "").split(",")):
        name, _, value = part.partition("=")
        if name not in (*_OTHERS, *_COUNTS):
            raise ValueError(f"TRTLLM_DOUBLE_FAULT: {name!r} is unknown")
        faults[name] = value
    return faults


def due(faults: dict[str, str], generated: int) -> str:
    """The fault to commit after ``generated`` tokens, "" for none."""
    for name in _COUNTS:
        if name in faults and generated >= int(faults[name]):
            return name
    return ""
