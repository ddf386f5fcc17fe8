"""Which back end gets a request. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ["choose"]


class _Candidate(Protocol):
    address: str
    outstanding: int


C = TypeVar("C", bound=_Candidate)


def choose(candidates: Sequence[C], affinity: bytes, *, imbalance: int) -> C:
    """Return the candidate that ``affinity`` prefers, so that a shared prefix meets the engine's
    cache of it, unless it has more than ``imbalance`` requests more than the least busy one; then
    the least busy, the preferred one of equals. Rendezvous hashing: a back end that comes or goes
    moves only its own share. ``candidates`` must not be empty."""
    if len(candidates) == 1:
        return candidates[0]
    ranked = sorted(candidates, key=lambda c: _weight(affinity, c.address), reverse=True)
    least = min(ranked, key=lambda c: c.outstanding)
    preferred = ranked[0]
    return preferred if preferred.outstanding - least.outstanding <= imbalance else least


def _weight(affinity: bytes, address: str) -> bytes:
    return hashlib.blake2b(address.encode(), key=affinity, digest_size=8).digest()
