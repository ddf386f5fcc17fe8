"""Compare the answers of a running engine with the recorded ones. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.recorded_answers import RecordedAnswer, RecordedAnswers
from gemma4_runtime.server.gate.outcome import Verdict

__all__ = ["Agreement", "Answer", "Rules", "compare", "hopeless", "judge", "rules_for"]

_OF_ENGINE = {
    "none": 1.0, "f32": 1.0, "bf16": 0.97, "int8": 0.95, "fp8": 0.93, "nvfp4": 0.88, "int4": 0.88,
    "gguf": 0.88,
}  # fmt: skip
"""Least agreement by precision with the engine's own answers, where the manifest has no threshold:
the least top-1 agreement that a build accepts of the precision."""
_OF_REFERENCE = {"f32": 1.0, "bf16": 0.9}
"""Least agreement with the source's answers, as ``gemma4 doctor --gpu`` wants it."""
_OF_REFERENCE_QUANTIZED = 0.5
"""A quantized model may leave the greedy path of its source, after which nothing is equal."""
_TIE_CPU, _TIE_GPU = 0.1, 0.5
"""Nats. Rounding in another order moves a lead by less. On a CPU the demo's log-probabilities did
not change at all with threads and slots, and by 0.0001 beside three other requests (f32, int8,
int4). On a GPU bfloat16 logits near 20 are 0.125 apart, and a lead is the difference of two; no
GPU was asked."""
_MOVED_BUILD = 0.25
"""Nats that the log-probability of a token may be from the one that the build recorded, on a CPU.
A KV cache in float16 instead of float32 moved it by up to 0.039 (demo, f32); two threads instead of
one, and micro-batches of 16 tokens, by nothing. Another kind of CPU was not tried."""
_BROKEN = 9999.0
"""Nats: stands for a change to what is no number. JSON has no infinity."""
_MOVED_START_CPU, _MOVED_START_GPU = 0.0001, 0.5
"""Nats that it may be from the one of the first run of the same process. On a CPU it is the same to
the last bit when the engine is alone, as it is for the gate: so with 15 rounds of users' requests
between two runs, finished and cancelled (f32, int8, int4). For a GPU: as for a near tie."""


@dataclass(frozen=True, slots=True)
class Rules:
    """``least``: agreement below which a run fails. ``tie``: nats; a token whose recorded lead is
    smaller may differ. ``moved_build``, ``moved_start``: nats by which the log-probability of a
    token may have changed."""

    least: float
    tie: float
    moved_build: float = math.inf
    moved_start: float = math.inf


@dataclass(frozen=True, slots=True)
class Answer:
    """Of the engine. ``log_probs`` (nats) has as many as ``ids``; empty where it tells none. One
    that is None or no number stands for a computation that broke."""

    ids: Sequence[int]
    log_probs: Sequence[float | None] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one answer: ``equal`` of ``positions`` tokens came before the first clear difference.
    ``near_tie``: the answer left the recorded one at a near tie, behind which nothing is
    compared. ``moved`` (nats) since ``since`` is the largest change of a log-probability;
    ``excess`` divides it by what is allowed."""

    name: str
    equal: int
    positions: int
    near_tie: bool
    moved: float | None = None
    since: Literal["start", "build"] = "build"
    excess: float = 0.0


def rules_for(manifest: Manifest, recorded: RecordedAnswers) -> Rules:
    """Return the rules of an engine, by the figures of its manifest."""
    precision = manifest.precision
    gpu = manifest.runtime == "tensorrt_llm"
    tie = _TIE_GPU if gpu else _TIE_CPU
    start = _MOVED_START_GPU if gpu else _MOVED_START_CPU
    quality = manifest.quality
    if recorded.source == "reference":
        # Both logits of a lead may have moved by what the build measured.
        moved = 0.0 if quality is None else 2 * quality.max_abs_delta_logprob
        least = _OF_REFERENCE.get(precision, _OF_REFERENCE_QUANTIZED)
        return Rules(least, max(tie, moved), moved_start=start)
    least = _OF_ENGINE[precision]
    if quality is not None:
        least = quality.thresholds.get("top1_agreement", least)
    return Rules(least, tie, _MOVED_BUILD, start)


def compare(
    recorded: RecordedAnswer, answer: Answer, rules: Rules, first: Answer | None = None
) -> Agreement:
    """Compare an answer with the recorded one, and with that of the ``first`` run. An answer that
    ends too early differs where it ends. What follows a clear difference counts as different: it
    has another context."""
    wanted, ids = recorded.answer, answer.ids
    same = _common(ids, wanted)
    near_tie = (
        same < len(wanted) and recorded.margins is not None and recorded.margins[same] < rules.tie
    )
    positions = same if near_tie else len(wanted)
    found = [Agreement(recorded.name, same, positions, near_tie)]
    for since, before, bound in (
        ("build", Answer(wanted, recorded.log_probs or ()), rules.moved_build),
        ("start", first or Answer(()), rules.moved_start),
    ):
        moved = _moved(answer, before)
        if moved is not None:
            excess = moved / bound
            found.append(Agreement(recorded.name, same, positions, near_tie, moved, since, excess))  # type: ignore[arg-type]
    return max(found, key=lambda each: (each.moved is not None, each.excess))


def judge(found: Iterable[Agreement], rules: Rules) -> Verdict | None:
    """Return the verdict over all answers of one copy of the model; None when there is no position
    to judge by, since every answer left the recorded one at a near tie at once."""
    answers = list(found)
    equal, positions = sum(a.equal for a in answers), sum(a.positions for a in answers)
    broken = any(a.excess > 1 for a in answers)
    if not positions and not broken:
        return None
    agreement = equal / positions if positions else 0.0
    least = min(answers, key=lambda a: a.equal / a.positions if a.positions else 1.0)
    most = max(answers, key=lambda a: (a.moved is not None, a.excess))
    reason, worst = "", least
    if positions and agreement < rules.least:
        reason = "other tokens than the recorded ones"
    elif broken:
        reason, worst = f"other probabilities of the same tokens than at the {most.since}", most
    return Verdict(
        passed=not reason,
        agreement=agreement,
        equal=equal,
        positions=positions,
        near_ties=sum(a.near_tie for a in answers),
        worst=worst.name,
        moved=most.moved,
        since=most.since,
        reason=reason,
    )


def hopeless(found: Iterable[Agreement], left: int, rules: Rules) -> bool:
    """Return whether a run fails whatever ``left`` more positions show."""
    answers = list(found)
    equal, positions = sum(a.equal for a in answers), sum(a.positions for a in answers)
    failed = (equal + left) < rules.least * (positions + left)
    return failed or any(a.excess > 1 for a in answers)


def _common(ids: Sequence[int], others: Sequence[int]) -> int:
    """Return how many tokens come before the first that differs, or the end of one of both."""
    pairs = enumerate(zip(ids, others, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(ids), len(others)))


def _moved(answer: Answer, before: Answer) -> float | None:
    """Return the largest change of a log-probability over the tokens that both begin with, in nats;
    :data:`_BROKEN` where one is no number, None where there is nothing to compare."""
    if not before.log_probs or not answer.log_probs:
        return None
    same = _common(answer.ids, before.ids)
    if any(value is None or not math.isfinite(value) for value in answer.log_probs[: same + 1]):
        return _BROKEN
    pairs = zip(answer.log_probs[:same], before.log_probs[:same], strict=True)
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=None)
