"""How far a quantized checkpoint is from its source, on held-out text, in the numpy reference.

Both run the same forward pass: the source in float32, the quantized one with its weights decoded
and, for FP8 and NVFP4, its activations and KV cache rounded as the engine does. It shows what
quantizing costs, not what a GPU kernel may add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from gemma4_runtime.engine_folder import Quality

from gemma4_build.errors import QualityError
from gemma4_build.progress import Reporter
from gemma4_build.reference import final_states, project
from gemma4_build.reference.ops import Array
from gemma4_build.reference.weights import Rounding, Weights

__all__ = ["THRESHOLDS", "compare_weights"]

THRESHOLDS: dict[str, dict[str, float]] = {
    "fp8": {"mean_kl": 0.02, "top1_agreement": 0.93},
    "nvfp4": {"mean_kl": 0.15, "top1_agreement": 0.85},
    "int4": {"mean_kl": 0.15, "top1_agreement": 0.85},
}
"""What each precision must reach. Measured figures: docs/build.md."""

_ROWS = 64
"""Positions per step of the output matrix."""
_LAST = 64
"""Most positions looked at of each text, the last ones."""


@dataclass(frozen=True, slots=True)
class _Found:
    divergence: list[float]
    agreed: list[bool]
    delta: list[float]
    surprise: list[float]
    reference_surprise: list[float]


def compare_weights(
    source: Weights,
    quantized: Weights,
    rounding: Rounding,
    *,
    texts: Sequence[Sequence[int]],
    precision: str,
    note: str,
    reporter: Reporter,
) -> Quality:
    """Measure ``quantized`` on ``texts`` (token ids). ``note`` says what was rounded.

    Raises :class:`QualityError` below the precision's thresholds.
    """
    last = [min(len(text), _LAST) for text in texts]
    reporter.say(f"Verifying: {len(texts)} texts through the float32 reference, twice")
    exact = final_states(source, texts, last=last, reporter=reporter)
    ours = final_states(quantized, texts, last=last, reporter=reporter, rounding=rounding)
    following = [
        -1 if place + 1 == len(text) else text[place + 1]
        for text, count in zip(texts, last, strict=True)
        for place in range(len(text) - count, len(text))
    ]
    found = _Found([], [], [], [], [])
    for first in range(0, len(exact), _ROWS):
        rows = slice(first, first + _ROWS)
        p, q = (
            _log_softmax(project(source, exact[rows])),
            _log_softmax(project(quantized, ours[rows])),
        )
        _collect(found, p, q, following[rows])
    limits = THRESHOLDS[precision]
    quality = Quality(
        prompts=len(texts),
        positions=len(found.divergence),
        top_k=source.spec.vocab,
        mean_kl=float(np.mean(found.divergence)),
        p99_kl=float(np.percentile(found.divergence, 99)),
        top1_agreement=float(np.mean(found.agreed)),
        max_abs_delta_logprob=float(max(found.delta)),
        perplexity=float(np.exp(np.mean(found.surprise))),
        reference_perplexity=float(np.exp(np.mean(found.reference_surprise))),
        reference=f"numpy float32 forward of the source; {note}",
        thresholds=limits,
    )
    _judge(quality, limits, precision)
    return quality


def _collect(
    found: _Found, p: npt.NDArray[np.float64], q: npt.NDArray[np.float64], following: list[int]
) -> None:
    found.divergence.extend(map(float, np.sum(np.exp(p) * (p - q), axis=1)))
    best = q.argmax(axis=1)
    found.agreed.extend(map(bool, p.argmax(axis=1) == best))
    rows = np.arange(len(best))
    found.delta.extend(map(float, np.abs(p[rows, best] - q[rows, best])))
    known = [(row, token) for row, token in enumerate(following) if token >= 0]
    found.surprise.extend(-float(q[row, token]) for row, token in known)
    found.reference_surprise.extend(-float(p[row, token]) for row, token in known)


def _log_softmax(logits: Array) -> npt.NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return wide


def _judge(quality: Quality, limits: dict[str, float], precision: str) -> None:
    bad = []
    for name, limit in limits.items():
        value = float(getattr(quality, name))
        low = name == "top1_agreement"
        # Written so that NaN fails.
        if not (value >= limit if low else value <= limit):
            bad.append(f"{name} is {value:.3g}, {'least' if low else 'most'} {limit:g}")
    if bad:
        raise QualityError(
            f"the {precision} checkpoint is too far from its source: {'; '.join(bad)}; calibrate "
            "with --calibration and texts like yours, use a higher --precision, or --skip-verify "
            "to accept it as unverified"
        )
