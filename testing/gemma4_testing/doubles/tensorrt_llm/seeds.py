"""Which seed a request is really sampled with, as the pinned sampler has it.

TensorRT-LLM's ``_SeedManager`` says of itself: requests without a seed draw from one generator that
goes on from request to request, and starts from a fixed seed; of the requests that are sampled
together only the first row's seed applies. What the double simplifies: it decides when a request
starts, and llama.cpp then keeps that seed.
"""

from __future__ import annotations

from hashlib import blake2b

_GLOBAL_SEED = 0


class Seeds:
    """Of one executor. Not thread-safe: the caller's lock guards it."""

    def __init__(self) -> None:
        self._drawn = 0
        self._running: dict[str, int | None] = {}

    def start(self, key: str, seed: int | None) -> int:
        """Return the seed of the request ``key``, which runs from now on."""
        beside, self._running[key] = len(self._running), seed
        self._drawn += 1
        if beside == 0 and seed is not None:
            return seed
        first = next(iter(self._running.values()))
        if first is None:
            first = _GLOBAL_SEED
        return _mixed(first, self._drawn)

    def end(self, key: str) -> None:
        self._running.pop(key, None)


def _mixed(seed: int, offset: int) -> int:
    digest = blake2b(f"{seed} {offset}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % (2**32 - 1)
