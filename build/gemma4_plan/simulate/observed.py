"""Step times of an engine, from the requests that a load test saw it answer.

An answer of ``N`` tokens takes ``N - 1`` steps after its first one. A step takes what so many
answers take, and, where a prompt begins in it, what the prompt does. Who ran beside whom is known
from the times of all requests, so each answer is one linear equation for the times of steps::

    end - first = sum over its steps of decode(answers in the step)
                  + each * (steps that read others' prompts) + token * (their tokens)

Where the server tells how long the engine took to the first token, each such time is another: the
rest of the step that ran, the answers' part of the next, and the prompt. Whatever the engine shares
its processors with is in all of them: it took its part when they were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate.host_times import times_by_load
from gemma4_plan.simulate.measured import StepFile
from gemma4_plan.simulate.seen import Seen, before_engine, hosts

__all__ = ["Seen", "steps_from"]

Floats = npt.NDArray[np.float64]

_TURNS = 8
"""Times that the steps are shared out anew among the parts of an answer, which depends on them."""
_LEAST = 8
"""Answers of several tokens without which nothing is fitted."""
_RARE = 0.01
"""Share of all steps that a number of answers has at least, to get a time of its own."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer's time, cut where others begin or end: ``parts`` are seconds and answers that run,
    ``begun`` which part others' prompts fall into, their steps, and their tokens."""

    steps: int
    seconds: float
    parts: tuple[Floats, npt.NDArray[np.int64]]
    begun: tuple[npt.NDArray[np.int64], Floats, Floats]


@dataclass(frozen=True, slots=True)
class _Reading:
    """An engine's time to a first token: ``beside`` answers ran, and of the prompts in ``others``
    (seconds from there to the first token, steps, tokens) the last part was read before."""

    seconds: float
    beside: int
    pieces: float
    prompt: int
    others: tuple[Floats, Floats, Floats]


def steps_from(
    runs: Sequence[Sequence[Seen]], *, slots: int, step_tokens: int, measured: str
) -> StepFile:
    """Fit the step times of one engine to several runs, by least squares. Raises
    :class:`BadQuestionError` when there is too little to fit."""
    answers = [answer for run in runs for answer in _answers(run, step_tokens)]
    if len(answers) < _LEAST:
        raise BadQuestionError(
            f"{len(answers)} answers of several tokens: give runs with at least {_LEAST}"
        )
    knots = _knots(answers, slots)
    decode = np.full(len(knots), np.mean([a.seconds / a.steps for a in answers]))
    each = token = 0.0
    readings = [reading for run in runs for reading in _readings(run, step_tokens)]
    seconds = np.array([a.seconds for a in answers] + [one.seconds for one in readings])
    expected = np.array(
        [answer.steps * decode[0] for answer in answers] + [one.seconds for one in readings]
    )
    for _ in range(_TURNS):
        rows = [
            *(_row(answer, knots, decode, each, token) for answer in answers),
            *(_reading_row(reading, knots, each, token) for reading in readings),
        ]
        decode, each, token = _solved(np.array(rows), seconds, expected, len(knots))
        expected = np.maximum(np.array(rows) @ [*decode, each, token], 0.1 * expected)
        # A first token that came late by chance says little of the prompt.
        expected[len(answers) :] = np.maximum(expected, seconds)[len(answers) :]
    longest = min(max(seen.prompt for run in runs for seen in run), step_tokens)
    prefill = [(1, each + token), (max(longest, 2), each + token * max(longest, 2))]
    points = [(int(at), max(float(time), 1e-6)) for at, time in zip(knots, decode, strict=True)]
    file = StepFile(
        measured=measured, decode=tuple(points),
        prefill=tuple((at, max(time, 1e-6)) for at, time in prefill), slots=slots,
        step_tokens=step_tokens,
    )  # fmt: skip
    host = times_by_load([pair for run in runs for pair in hosts(run)])
    if host:
        middle = float(np.median([seen.host or 0.0 for run in runs for seen in run]))
        return file.model_copy(update={"overhead_s": middle, "host": host})
    return file.model_copy(update={"overhead_s": before_engine(runs, file)})


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


def _readings(run: Sequence[Seen], step_tokens: int) -> Iterator[_Reading]:
    firsts = np.array([seen.first for seen in run])
    ends = np.array([seen.end for seen in run])
    prompts = np.array([float(seen.prompt) for seen in run])
    for seen in run:
        if not seen.reading:
            continue
        began = seen.first - seen.reading
        before = (firsts > began) & (firsts < seen.first)
        yield _Reading(
            seconds=seen.reading,
            beside=int(((firsts < seen.first) & (ends > seen.first)).sum()),
            pieces=math.ceil(seen.prompt / step_tokens),
            prompt=seen.prompt,
            others=(
                seen.first - firsts[before], np.ceil(prompts[before] / step_tokens), prompts[before]
            ),
        )  # fmt: skip


def _row(
    answer: _Answer, knots: npt.NDArray[np.int64], decode: Floats, each: float, token: float
) -> Floats:
    """Return how many steps of the answer have each of the ``knots``, in between by parts, and the
    prompts beside it."""
    seconds, running = answer.parts
    where, pieces, prompts = answer.begun
    left = seconds.copy()
    np.subtract.at(left, where, each * pieces + token * prompts)
    left = np.maximum(left, 0.02 * seconds)
    weights = left / np.interp(running, knots, decode)
    steps = answer.steps * weights / weights.sum()
    shared = (_hats(running, knots) * steps[:, None]).sum(axis=0)
    return np.concatenate((shared, [pieces.sum(), prompts.sum()]))


def _reading_row(
    reading: _Reading, knots: npt.NDArray[np.int64], each: float, token: float
) -> Floats:
    """Return the same of a prompt: half a step, its own steps, and what was left of others'."""
    until, pieces, prompts = reading.others
    own = each * reading.pieces + token * reading.prompt
    whole = np.maximum(each * pieces + token * prompts, 1e-9)
    shares = np.clip((reading.seconds - until) / whole, 0.0, 1.0) * (until > own / 2)
    steps = _hats(np.array([reading.beside]), knots)[0] * (0.5 + reading.pieces)
    return np.concatenate(
        (
            steps if reading.beside else np.zeros(len(knots)),
            [
                reading.pieces + (shares * pieces).sum(),
                reading.prompt + (shares * prompts).sum(),
            ],
        )
    )


def _hats(running: npt.NDArray[np.int64], knots: npt.NDArray[np.int64]) -> Floats:
    """Return by what share each knot stands for so many answers."""
    unit = np.eye(len(knots))
    return np.column_stack([np.interp(running, knots, unit[k]) for k in range(len(knots))])


def _solved(
    table: Floats, seconds: Floats, expected: Floats, knots: int
) -> tuple[Floats, float, float]:
    """Solve for the times of the knots, which must not fall, and of prompts. Errors count against
    what is ``expected``: against what was measured, what took long by chance would count little."""
    counts = table[:, :knots]
    # Each column is what all knots from this one on have in common: a rise, so no less than 0.
    rises = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    relative = np.column_stack((rises, table[:, knots:])) / expected[:, None]
    found = _at_least_0(relative, seconds / expected)
    return np.maximum(np.cumsum(found[:knots]), 1e-6), float(found[-2]), float(found[-1])


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
