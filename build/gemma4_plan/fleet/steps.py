"""Step times of the roofline, fast enough for millions of steps."""

from __future__ import annotations

from typing import Literal

from gemma4_plan.catalog import Card
from gemma4_plan.gpu_memory import Split, rank_of
from gemma4_plan.model import published_model
from gemma4_plan.speed.fitted import Fitted
from gemma4_plan.speed.pace import parts
from gemma4_plan.speed.work import Step, work_of

__all__ = ["END", "End", "RooflineSteps"]

End = Literal["fast", "middle", "slow"]
"""Which end of the estimate."""
END: tuple[End, ...] = ("fast", "middle", "slow")

_CONTEXT_STEP = 64
"""Tokens to which the mean context is rounded up, so that equal steps are computed once."""


class RooflineSteps:
    """The protocol :class:`~gemma4_plan.simulate.steps.StepTimes`. At the slow end, reading, sending
    and the launch take the fitted factor of decoding longer, computing that of prefill; at the fast
    one as much less. ``prompt`` is the mean length of prompts, which says how many of them share a
    step."""

    def __init__(
        self, name: str, card: Card, split: Split, fitted: Fitted, *, end: End, prompt: float
    ) -> None:
        self._card, self._split, self._fitted = card, split, fitted
        self._prompt = prompt
        decode, prefill = fitted.errors(name)
        power = {"fast": -1, "middle": 0, "slow": 1}[end]
        self._reading, self._computing = decode**power, prefill**power
        self._seen: dict[tuple[int, int, int, int], float] = {}

    def seconds(self, decode: int, context: float, prefill: int, prompt: float) -> float:
        """Return the seconds of a step; see the protocol."""
        mean = -(-int(context) // decode) if decode else 0
        key = (
            decode, -(-mean // _CONTEXT_STEP), prefill, -(-int(prompt) // _CONTEXT_STEP)
        )  # fmt: skip
        found = self._seen.get(key)
        if found is None:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            found = self._seen[key] = self._computed(*key)
        return found

    def _computed(self, decode: int, context: int, prefill: int, before: int) -> float:
        step = Step(
            decode=decode,
            context=context * _CONTEXT_STEP,
            prefill=prefill,
            prompt=2 * before * _CONTEXT_STEP + min(prefill, self._prompt),
        )
        work = work_of(
            published_model(), rank_of(self._split), step, tp=self._split.tp,
            routing=self._fitted.routing,
        )  # fmt: skip
        launch, reading, computing, sending = parts(
            work, self._card, self._split.precision, self._fitted.efficiency
        )
        reading *= self._reading
        return (launch + sending) * self._reading + max(reading, computing * self._computing)


_MOST_SEEN = 200_000
"""Steps of which the time is kept: about 40 MB."""
