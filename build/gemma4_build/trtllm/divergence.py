"""How far a quantized checkpoint is from its source, on held-out text, in the numpy reference.

Both run the same forward pass: the source in float32, the quantized one with its weights decoded
and, for FP8 and NVFP4, its activations and KV cache rounded as the engine does. It shows what
quantizing costs, not what a GPU kernel may add.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gemma4_runtime.manifest import Quality
from tokenizers import Tokenizer

from gemma4_build.errors import QualityError
from gemma4_build.progress import Reporter
from gemma4_build.reference import final_states, project
from gemma4_build.reference.weights import Rounding, Weights
from gemma4_build.verify.metrics import log_softmax
from gemma4_build.verify.thresholds import shortfalls

__all__ = ["THRESHOLDS", "Pair", "compare_weights", "held_out"]

_PROMPT = "<bos><|turn>user\n{}<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"

THRESHOLDS: dict[str, dict[str, float]] = {
    "fp8": {"mean_kl": 0.12, "top1_agreement": 0.93},
    "nvfp4": {"mean_kl": 0.2, "top1_agreement": 0.88},
    "int4": {"mean_kl": 0.2, "top1_agreement": 0.88},
}
"""What each precision must reach. Measured figures: bench/RESULTS.md."""

_ROWS = 64
"""Positions per step of the output matrix."""

Pair = tuple[Sequence[int], Sequence[int]]
"""Prompt and answer, token ids."""


@dataclass(frozen=True, slots=True)
class _Found:
    divergence: list[float]
    agreed: list[bool]
    delta: list[float]
    surprise: list[float]
    reference_surprise: list[float]


def held_out(tokenizer_json: Path) -> list[Pair]:
    """Return the package's held-out questions with answers, for perplexity."""
    tokenizer = Tokenizer.from_file(str(tokenizer_json))

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    text = files("gemma4_build.trtllm").joinpath("held_out.json").read_text(encoding="utf-8")
    return [
        (encode(_PROMPT.format(entry["user"])), encode(f"{entry['model']}<turn|>"))
        for entry in json.loads(text)
    ]


def compare_weights(
    source: Weights,
    quantized: Weights,
    rounding: Rounding,
    *,
    answers: Sequence[Pair],
    held: Sequence[Pair],
    precision: str,
    note: str,
    reporter: Reporter,
) -> Quality:
    """Measure ``quantized``: divergence where the source gave its own greedy ``answers``,
    perplexity on the answers of ``held``. ``note`` says what was rounded.

    Raises :class:`QualityError` below the precision's thresholds.
    """
    pairs = [*answers, *held]
    texts = [[*prompt, *answer[:-1]] for prompt, answer in pairs]
    last = [len(answer) for _, answer in pairs]
    reporter.say(f"Verifying: {len(texts)} texts through the float32 reference, twice")
    exact = final_states(source, texts, last=last, reporter=reporter)
    ours = final_states(quantized, texts, last=last, reporter=reporter, rounding=rounding)
    tokens = [token for _, answer in pairs for token in answer]
    greedy = sum(len(answer) for _, answer in answers)
    found = _Found([], [], [], [], [])
    for first in range(0, len(exact), _ROWS):
        rows = slice(first, first + _ROWS)
        p = log_softmax(project(source, exact[rows]))
        q = log_softmax(project(quantized, ours[rows]))
        _collect(found, p, q, tokens[rows], max(0, greedy - first))
    limits = THRESHOLDS[precision]
    quality = Quality(
        prompts=len(answers),
        positions=len(found.divergence),
        top_k=source.spec.vocab,
        mean_kl=float(np.mean(found.divergence)),
        p99_kl=float(np.percentile(found.divergence, 99)),
        top1_agreement=float(np.mean(found.agreed)),
        max_abs_delta_logprob=float(max(found.delta)),
        perplexity=float(np.exp(np.mean(found.surprise))),
        reference_perplexity=float(np.exp(np.mean(found.reference_surprise))),
        reference=f"numpy float32 forward of the source, teacher-forced; {note}",
        thresholds=limits,
    )
    if bad := shortfalls(quality, limits):
        raise QualityError(
            f"the {precision} checkpoint is too far from its source: {bad}; calibrate "
            "with --calibration and texts like yours, use a higher --precision, or --skip-verify "
            "to accept it as unverified"
        )
    return quality


def _collect(
    found: _Found,
    p: npt.NDArray[np.float64],
    q: npt.NDArray[np.float64],
    tokens: list[int],
    greedy: int,
) -> None:
    """Collect the figures of all rows; the first ``greedy`` are of the source's own answers."""
    divergence, best = np.sum(np.exp(p) * (p - q), axis=1), q.argmax(axis=1)
    rows = np.arange(len(best))
    delta = np.abs(p[rows, best] - q[rows, best])
    found.divergence.extend(map(float, divergence[:greedy]))
    found.agreed.extend(map(bool, (p.argmax(axis=1) == best)[:greedy]))
    found.delta.extend(map(float, delta[:greedy]))
    found.surprise.extend(map(float, -q[rows, tokens][greedy:]))
    found.reference_surprise.extend(map(float, -p[rows, tokens][greedy:]))
