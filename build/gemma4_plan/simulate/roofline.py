"""Step times from the fitted roofline of :mod:`gemma4_plan.speed`."""

from __future__ import annotations

from dataclasses import dataclass, field

from gemma4_plan.catalog import Card
from gemma4_plan.gpu_memory import Split, rank_of
from gemma4_plan.model import published_model
from gemma4_plan.speed.fitted import Fitted
from gemma4_plan.speed.pace import seconds
from gemma4_plan.speed.work import Step, work_of

__all__ = ["RooflineSteps"]

_KNOT = 128
"""Tokens of the first distance between two contexts for which a decode step is computed; the next
ones double. Times between them are on a straight line, as they are up to the window and from it."""
_KNOTS = 13  # up to 512 Ki tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineSteps:
    """Of a copy on ``card``, shared out as ``split``. ``decode_factor`` and ``prefill_factor``
    multiply the middle estimate: :meth:`Fitted.errors` is the bad end, its inverse the good one.
    A step with prompts takes what it would without them, and the rest."""

    card: Card
    split: Split
    fitted: Fitted = field(repr=False)
    decode_factor: float = 1.0
    prefill_factor: float = 1.0
    _rows: dict[int, list[float]] = field(default_factory=dict, repr=False, compare=False)

    def seconds(self, decode: int, context: float, prefill: int, seen: float) -> float:
        """Return the seconds of a step, see :class:`~gemma4_plan.simulate.steps.StepTimes`."""
        if not prefill:
            return self.decode_factor * self._decode(decode, context / decode)
        mean = context / decode if decode else 0.0
        alone = self._decode(decode, mean) if decode else 0.0
        both = self._step(decode, mean, prefill, seen)
        return self.decode_factor * alone + self.prefill_factor * max(0.0, both - alone)

    def _decode(self, decode: int, mean: float) -> float:
        row = self._rows.get(decode)
        if row is None:
            knots = [0.0, *(float(_KNOT << at) for at in range(_KNOTS))]
            row = self._rows[decode] = [self._step(decode, knot, 0, 0.0) for knot in knots]
        at = (int(mean) // _KNOT).bit_length()
        left = _KNOT << (at - 1) if at else 0
        width = left or _KNOT
        return row[at] + (row[at + 1] - row[at]) * (mean - left) / width

    def _step(self, decode: int, mean: float, prefill: int, seen: float) -> float:
        # The roofline's prompt is a whole one, whose tokens see half of it.
        step = Step(decode=decode, context=mean, prefill=prefill, prompt=2 * seen)
        work = work_of(
            published_model(), rank_of(self.split), step, tp=self.split.tp,
            routing=self.fitted.routing,
        )  # fmt: skip
        return seconds(work, self.card, self.split.precision, self.fitted.efficiency)
