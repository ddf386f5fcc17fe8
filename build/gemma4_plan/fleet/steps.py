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

_KNOT = 128
"""Tokens of the least context above 0 for which a step without prompts is computed; the next ones
double, up to 512 Ki. Between them its seconds are taken to be on a straight line, which they are on
either side of the window while the step reads longer than it computes."""
_KNOTS = 13
"""Such contexts."""


class RooflineSteps:
    """Implements :class:`~gemma4_plan.simulate.steps.StepTimes`. At the slow end, reading,
    sending and the launch take the fitted factor of decoding longer, computing that of prefill; at
    the fast one as much less."""

    def __init__(
        self, name: str, card: Card, split: Split, fitted: Fitted, *, end: End = "middle"
    ) -> None:
        self._card, self._split, self._fitted = card, split, fitted
        decode, prefill = fitted.errors(name)
        power = {"fast": -1, "middle": 0, "slow": 1}[end]
        self._reading, self._computing = decode**power, prefill**power
        self._rank = rank_of(split)
        self._rows: dict[int, list[float]] = {}

    def seconds(self, decode: int, context: float, prefill: int, seen: float) -> float:
        """Return the seconds of a step; see the protocol."""
        if prefill:
            return self._computed(decode, context / decode if decode else 0.0, prefill, seen)
        row = self._rows.get(decode)
        if row is None:
            knots = [0.0, *(float(_KNOT << at) for at in range(_KNOTS))]
            row = self._rows[decode] = [self._computed(decode, knot, 0, 0.0) for knot in knots]
        mean = context / decode
        at = (int(mean) // _KNOT).bit_length()
        left = _KNOT << (at - 1) if at else 0
        return row[at] + (row[at + 1] - row[at]) * (mean - left) / (left or _KNOT)

    def _computed(self, decode: int, mean: float, prefill: int, seen: float) -> float:
        # The roofline's prompt is a whole one, whose tokens see half of it on average.
        step = Step(decode=decode, context=mean, prefill=prefill, prompt=2 * seen)
        work = work_of(
            published_model(), self._rank, step, tp=self._split.tp, routing=self._fitted.routing
        )
        launch, reading, computing, sending = parts(
            work, self._card, self._split.precision, self._fitted.efficiency
        )
        reading *= self._reading
        return (launch + sending) * self._reading + max(reading, computing * self._computing)
