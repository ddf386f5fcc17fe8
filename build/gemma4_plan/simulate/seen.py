"""What a load test saw of a request, and what of it the engine had no part in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gemma4_plan.simulate.measured import MeasuredSteps, StepFile

__all__ = ["Seen", "before_engine", "hosts"]

_TURNS = 8
"""Times that the seconds before the engine are guessed anew."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One answered request. Seconds of its run: when it was due, had its first and its last token;
    ``queued`` of them were spent in the engine's queue, ``reading`` from there to the first token
    and ``decoding`` from there on, None where the server does not tell. Tokens of prompt and
    answer."""

    due: float
    first: float
    end: float
    prompt: int
    output: int
    queued: float = 0.0
    reading: float | None = None
    decoding: float | None = None

    @property
    def host(self) -> float | None:
        """Seconds to the first token that the engine knows nothing of."""
        if self.reading is None:
            return None
        return max(0.0, self.first - self.due - self.queued - self.reading)


def hosts(run: Sequence[Seen]) -> Iterator[tuple[int, float]]:
    """Yield, for each request of which the server told its times, how many others were with the
    engine when it came, and the host's seconds."""
    begins = np.array([seen.due + (seen.host or 0.0) for seen in run])
    ends = np.array([seen.end for seen in run])
    for seen in run:
        if seen.host is not None:
            yield int(((begins <= seen.due) & (ends > seen.due)).sum()), seen.host


def before_engine(runs: Sequence[Sequence[Seen]], file: StepFile) -> float:
    """Return the median of what is left of the time to the first token: without the queue, the rest
    of the step that ran when the engine got the request, and the steps that read its prompt."""
    pace, found = MeasuredSteps(file), 0.0
    for _ in range(_TURNS):
        left = [spent for run in runs for spent in _spent(run, pace, file.step_tokens, found)]
        found = max(0.0, float(np.median(left)))
    return found


def _spent(
    run: Sequence[Seen], pace: MeasuredSteps, step_tokens: int, overhead: float
) -> list[float]:
    """Return the seconds of each request before the engine had it; ``overhead`` is the last guess
    of their median, by which it is told who was being read when it came."""
    firsts = np.array([seen.first for seen in run])
    ends = np.array([seen.end for seen in run])
    reading = np.array([pace.seconds(0, 0.0, min(x.prompt, step_tokens), 0.0) for x in run])
    found = []
    for seen in run:
        beside = int(((firsts < seen.first) & (ends > seen.first)).sum())
        step = pace.seconds(beside, 0.0, 0, 0.0) if beside else 0.0
        whole, rest = divmod(seen.prompt, max(step_tokens - beside, 1))
        parts = [step_tokens - beside] * whole + [rest] * (rest > 0)
        began = seen.first - sum(pace.seconds(beside, 0.0, part, 0.0) for part in parts)
        got = min(seen.due + overhead, began)
        # The step that ran then ended when this one began; one with a prompt is longer.
        others = (firsts > got + step / 2) & (firsts < began + step / 2)
        read = float(np.minimum(reading, firsts - got)[others].sum())
        # What waited for a slot began with the step after; the rest waited for a step to end.
        found.append(began - seen.due - max(seen.queued, step / 2 + read))
    return found
