"""Seeds of the calls that one request takes."""

from __future__ import annotations

from hashlib import blake2b

__all__ = ["call_seed"]


def call_seed(seed: int, answered: int, *, limit: int) -> int:
    """Return a seed below ``limit`` of a call that goes on after ``answered`` generated tokens.
    With one seed for all of its calls, each would begin with the same draw."""
    if not answered:
        return seed % limit
    digest = blake2b(f"{seed} {answered}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % limit
