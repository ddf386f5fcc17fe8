"""Step times of an engine, from the requests that a load test saw it answer.

An answer of ``N`` tokens takes ``N - 1`` steps after its first one. A step takes what so many
answers take, and, where a prompt begins in it, what the prompt does. Who ran beside whom is known
from the times of all requests, so each answer is one linear equation for the times of steps::

    end - first = sum over its steps of decode(answers in the step)
                  + each * (steps that read others' prompts) + token * (their tokens)

Whatever the engine shares its processors with is in them: it took its part when they were measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate.host_times import times_by_load
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile

__all__ = ["Seen", "steps_from"]

Floats = npt.NDArray[np.float64]

_TURNS = 8
"""Times that the steps are shared out anew among the parts of an answer, which depends on them."""
_LEAST = 8
"""Answers of several tokens without which nothing is fitted."""
_RARE = 0.01
"""Share of all steps that a number of answers has at least, to get a time of its own."""


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


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer's time, cut where others begin or end: ``parts`` are seconds and answers that run,
    ``begun`` which part others' prompts fall into, their steps, and their tokens."""

    steps: int
    seconds: float
    parts: tuple[Floats, npt.NDArray[np.int64]]
    begun: tuple[npt.NDArray[np.int64], Floats, Floats]


def steps_from(
    runs: Sequence[Sequence[Seen]], *, slots: int, step_tokens: int, measured: str
) -> StepFile:
    """Fit the step times of one engine to several runs, by least squares of relative errors. Raises
    :class:`BadQuestionError` when there is too little to fit."""
    answers = [answer for run in runs for answer in _answers(run, step_tokens)]
    if len(answers) < _LEAST:
        raise BadQuestionError(
            f"{len(answers)} answers of several tokens: give runs with at least {_LEAST}"
        )
    knots = _knots(answers, slots)
    decode = np.full(len(knots), np.mean([a.seconds / a.steps for a in answers]))
    each = token = 0.0
    for _ in range(_TURNS):
        shared = [_shared(answer, knots, decode, each, token) for answer in answers]
        decode, each, token = _solved(answers, shared, knots)
    longest = min(max(seen.prompt for run in runs for seen in run), step_tokens)
    prefill = [(1, each + token), (max(longest, 2), each + token * max(longest, 2))]
    points = [(int(at), max(float(time), 1e-6)) for at, time in zip(knots, decode, strict=True)]
    file = StepFile(
        measured=measured, decode=tuple(points),
        prefill=tuple((at, max(time, 1e-6)) for at, time in prefill), slots=slots,
        step_tokens=step_tokens,
    )  # fmt: skip
    host = times_by_load([pair for run in runs for pair in _hosts(run)])
    if host:
        middle = float(np.median([seen.host or 0.0 for run in runs for seen in run]))
        return file.model_copy(update={"overhead_s": middle, "host": host})
    return file.model_copy(update={"overhead_s": _overhead(runs, file)})


def _answers(run: Sequence[Seen], step_tokens: int) -> list[_Answer]:
    firsts = np.array([seen.first for seen in run])
    ends = np.array([seen.end for seen in run])
    prompts = np.array([float(seen.prompt) for seen in run])
    found = []
    for seen in run:
        if seen.output < 2 or seen.end <= seen.first:
            continue
        edges = np.concatenate((firsts, ends))
        inside = np.unique(edges[(edges > seen.first) & (edges < seen.end)])
        bounds = np.concatenate(([seen.first], inside, [seen.end]))
        middles = (bounds[1:] + bounds[:-1]) / 2
        running = ((firsts <= middles[:, None]) & (ends > middles[:, None])).sum(axis=1)
        # A prompt is read just before its first token.
        others = (firsts > seen.first) & (firsts <= seen.end)
        place = np.searchsorted(bounds, firsts[others], side="left") - 1
        found.append(
            _Answer(
                steps=seen.output - 1,
                seconds=seen.end - seen.first if seen.decoding is None else seen.decoding,
                parts=(np.diff(bounds), np.maximum(running, 1)),
                begun=(
                    np.clip(place, 0, len(middles) - 1),
                    np.ceil(prompts[others] / step_tokens),
                    prompts[others],
                ),
            )
        )
    return found


def _knots(answers: Sequence[_Answer], slots: int) -> npt.NDArray[np.int64]:
    """Return the numbers of answers in a step that get a time each: powers of two, and what was
    seen least and most."""
    seconds = np.concatenate([answer.parts[0] for answer in answers])
    running = np.minimum(np.concatenate([answer.parts[1] for answer in answers]), slots)
    shares = np.bincount(running, weights=seconds, minlength=slots + 1) / seconds.sum()
    often = [int(n) for n in range(1, slots + 1) if shares[n] >= _RARE]
    low, high = often[0], often[-1]
    found = {low, high} | {n for n in often if n & (n - 1) == 0}
    return np.array(sorted(found))


def _shared(
    answer: _Answer, knots: npt.NDArray[np.int64], decode: Floats, each: float, token: float
) -> Floats:
    """Return how many steps of the answer have each of the ``knots``, in between by parts."""
    seconds, running = answer.parts
    where, pieces, prompts = answer.begun
    left = seconds.copy()
    np.subtract.at(left, where, each * pieces + token * prompts)
    left = np.maximum(left, 0.02 * seconds)
    weights = left / np.interp(running, knots, decode)
    steps = answer.steps * weights / weights.sum()
    found: Floats = (_hats(running, knots) * steps[:, None]).sum(axis=0)
    return found


def _hats(running: npt.NDArray[np.int64], knots: npt.NDArray[np.int64]) -> Floats:
    """Return by what share each knot stands for so many answers."""
    unit = np.eye(len(knots))
    return np.column_stack([np.interp(running, knots, unit[k]) for k in range(len(knots))])


def _solved(
    answers: Sequence[_Answer], shared: Sequence[Floats], knots: npt.NDArray[np.int64]
) -> tuple[Floats, float, float]:
    """Solve for the times of the knots, which must not fall, and of prompts."""
    counts = np.array(shared)
    # Each column is what all knots from this one on have in common: a rise, so no less than 0.
    rises = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    begun = np.array([[answer.begun[1].sum(), answer.begun[2].sum()] for answer in answers])
    seconds = np.array([answer.seconds for answer in answers])
    table = np.column_stack((rises, begun)) / seconds[:, None]
    found = _at_least_0(table, np.ones(len(answers)))
    return np.maximum(np.cumsum(found[: len(knots)]), 1e-6), float(found[-2]), float(found[-1])


def _at_least_0(table: Floats, wanted: Floats) -> Floats:
    """Solve by least squares without negative values: those that would be are left out."""
    used = [n for n in range(table.shape[1]) if table[:, n].any()]
    found = np.zeros(table.shape[1])
    while used:
        solved = np.linalg.lstsq(table[:, used], wanted, rcond=None)[0]
        if (solved >= 0).all():
            found[used] = solved
            break
        used.pop(int(np.argmin(solved)))
    return found


def _hosts(run: Sequence[Seen]) -> Iterator[tuple[int, float]]:
    """Yield, for each request of which the server told its times, how many others were with the
    engine when it came, and the host's seconds."""
    begins = np.array([seen.due + (seen.host or 0.0) for seen in run])
    ends = np.array([seen.end for seen in run])
    for seen in run:
        if seen.host is not None:
            yield int(((begins <= seen.due) & (ends > seen.due)).sum()), seen.host


def _overhead(runs: Sequence[Sequence[Seen]], file: StepFile) -> float:
    """Return the median of what is left of the time to the first token: without the queue, the rest
    of the step that ran when the engine got the request, and the steps that read its prompt."""
    pace, found = MeasuredSteps(file), 0.0
    for _ in range(_TURNS):
        left = [
            spent for run in runs for spent in _before_engine(run, pace, file.step_tokens, found)
        ]
        found = max(0.0, float(np.median(left)))
    return found


def _before_engine(
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
