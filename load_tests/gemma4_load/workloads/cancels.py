"""Clients that leave before the end."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from gemma4_load.workloads.base import Ask, Reply, Workload

__all__ = ["Cancels"]


class Cancels(Workload):
    """A share of another workload's requests is left in the middle: after one token to all but one,
    drawn evenly, of those that ``max_tokens`` allows."""

    name: ClassVar[str] = "cancels"

    def __init__(self, inner: Workload, share: float) -> None:
        self._inner = inner
        self._share = share

    def first(self, rng: np.random.Generator) -> Ask:
        return self._maybe(self._inner.first(rng), rng)

    def follow(self, ask: Ask, reply: Reply, rng: np.random.Generator) -> Ask | None:
        found = self._inner.follow(ask, reply, rng)
        return None if found is None else self._maybe(found, rng)

    def _maybe(self, ask: Ask, rng: np.random.Generator) -> Ask:
        if rng.random() >= self._share:
            return ask
        last = max(2, int(ask.options.get("max_tokens", 64)))
        return replace(ask, leave_after=int(rng.integers(1, last)))
