"""Restarts of the server by ``gemma4 serve``: why, how often, and how the models learn of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

__all__ = ["RESTART_REASONS", "RestartReason", "read_restarts", "write_restarts"]

RestartReason = Literal["crashed", "frozen", "stuck", "start_failed"]
"""``crashed``: a process ended. ``frozen``: one stood still and wanted no processor. ``stuck``: one
was at work all the time, or answered nothing, for longer than is allowed. ``start_failed``: Triton
itself crashed in a start, or the start after a loss did not succeed."""

RESTART_REASONS: tuple[RestartReason, ...] = get_args(RestartReason)


def write_restarts(counts: Mapping[RestartReason, int]) -> str:
    """Return the counts as :func:`read_restarts` takes them, such as ``crashed=2,frozen=1``."""
    return ",".join(f"{reason}={counts[reason]}" for reason in RESTART_REASONS if counts[reason])


def read_restarts(text: str) -> dict[RestartReason, int]:
    """Return the count of every reason, 0 for one that is not named. Raises :class:`ValueError` for
    a part that is no reason with a count, with that part."""
    counts = dict.fromkeys(RESTART_REASONS, 0)
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("=")
        reason = next((reason for reason in RESTART_REASONS if reason == name), None)
        if reason is None or not (count.isascii() and count.isdigit()):
            raise ValueError(f"{part!r} is not one of {', '.join(RESTART_REASONS)} = N")
        counts[reason] = int(count)
    return counts
