"""Compare the answers of a running engine with the recorded ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.recorded_answers import RecordedAnswer, RecordedAnswers
from gemma4_runtime.server.gate.outcome import Verdict

__all__ = ["Agreement", "Rules", "compare", "judge", "rules_for"]

_OF_ENGINE = {
    "none": 1.0, "f32": 1.0, "bf16": 0.97, "int8": 0.95, "fp8": 0.93, "nvfp4": 0.88, "int4": 0.88,
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


@dataclass(frozen=True, slots=True)
class Rules:
    """``least``: agreement below which a run fails. ``tie``: nats; a token whose recorded lead is
    smaller may differ."""

    least: float
    tie: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one answer: ``equal`` of ``positions`` tokens came before the first clear difference.
    ``near_tie``: the answer left the recorded one at a near tie, behind which nothing is
    compared."""

    name: str
    equal: int
    positions: int
    near_tie: bool


def rules_for(manifest: Manifest, recorded: RecordedAnswers) -> Rules:
    """Return the rules of an engine, by the figures of its manifest."""
    precision = manifest.precision
    tie = _TIE_GPU if manifest.runtime == "tensorrt_llm" else _TIE_CPU
    quality = manifest.quality
    if recorded.source == "reference":
        # Both logits of a lead may have moved by what the build measured.
        moved = 0.0 if quality is None else 2 * quality.max_abs_delta_logprob
        return Rules(_OF_REFERENCE.get(precision, _OF_REFERENCE_QUANTIZED), max(tie, moved))
    least = _OF_ENGINE[precision]
    if quality is not None:
        least = quality.thresholds.get("top1_agreement", least)
    return Rules(least, tie)


def compare(recorded: RecordedAnswer, ids: Sequence[int], rules: Rules) -> Agreement:
    """Compare the tokens ``ids`` with a recorded answer. An answer that ends too early differs
    where it ends. What follows a clear difference counts as different: it has another context."""
    wanted = recorded.answer
    same = next(
        (n for n, token in enumerate(wanted) if n >= len(ids) or ids[n] != token), len(wanted)
    )
    if same == len(wanted):
        return Agreement(recorded.name, same, same, near_tie=False)
    if recorded.margins is not None and recorded.margins[same] < rules.tie:
        return Agreement(recorded.name, same, same, near_tie=True)
    return Agreement(recorded.name, same, len(wanted), near_tie=False)


def judge(found: Iterable[Agreement], rules: Rules) -> Verdict | None:
    """Return the verdict over all answers of one copy of the model; None when there is no position
    to judge by, since every answer left the recorded one at a near tie at once."""
    answers = list(found)
    equal, positions = sum(a.equal for a in answers), sum(a.positions for a in answers)
    if not positions:
        return None
    worst = min(answers, key=lambda a: a.equal / a.positions if a.positions else 1.0)
    return Verdict(
        passed=equal / positions >= rules.least,
        agreement=equal / positions,
        equal=equal,
        positions=positions,
        near_ties=sum(a.near_tie for a in answers),
        worst=worst.name,
    )
