"""Which back end gets a request. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

__all__ = ["choose"]


class _Candidate(Protocol):
    address: str

    @property
    def load(self) -> int: ...


C = TypeVar("C", bound=_Candidate)


def choose(candidates: Sequence[C], affinity: bytes, *, imbalance: int, salt: bytes = b"") -> C:
    """Return the candidate that ``affinity`` prefers, so that a shared prefix meets the engine's
    cache of it, unless it has more than ``imbalance`` requests more than the least busy one; then
    the least busy. Of equally busy ones each ``salt`` prefers another, so that several gateways do
    not all turn to the same. Rendezvous hashing: a back end that comes or goes moves only its own
    share. ``candidates`` must not be empty."""
    if len(candidates) == 1:
        return candidates[0]
    preferred = max(candidates, key=lambda c: _weight(affinity, c.address))
    low = min(c.load for c in candidates)
    if preferred.load - low <= imbalance:
        return preferred
    return max(
        (c for c in candidates if c.load == low),
        key=lambda c: _weight(affinity + salt, c.address),
    )


def _weight(affinity: bytes, address: str) -> bytes:
    return hashlib.blake2b(address.encode(), key=affinity, digest_size=8).digest()
