"""Run the built file, teacher-force the reference on what it generated, judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gemma4_runtime.manifest import FirstTokens, LlamaCppOptions, Quality
from gemma4_runtime.recorded_answers import RecordedAnswers

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.errors import QualityError
from gemma4_build.progress import Reporter
from gemma4_build.reference import reference_logits
from gemma4_build.verify.engine_run import Generated, run_greedy
from gemma4_build.verify.metrics import compare, greedy
from gemma4_build.verify.prompts import Prompt, load_prompts
from gemma4_build.verify.recorded import of_engine
from gemma4_build.verify.thresholds import THRESHOLDS, shortfalls

__all__ = ["MAX_TOKENS", "Verification", "verify_gguf"]

MAX_TOKENS = 32
"""Tokens of each answer that are compared."""
TOP_K = 20
"""Most probable tokens of a position that are compared; the rest is one bucket."""


_FIRST = 8
"""First tokens of an answer that the manifest keeps."""
_SHORT = 256
"""First tokens are kept of prompts that nearly every engine takes."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was measured, the reference's own first tokens, and the engine's answers; None for those
    of an earlier build, which are in the folder."""

    quality: Quality
    first_tokens: list[FirstTokens]
    answers: RecordedAnswers | None = None


def verify_gguf(
    checkpoint: Checkpoint,
    model: Path,
    *,
    precision: str,
    options: LlamaCppOptions,
    reporter: Reporter,
) -> Verification:
    """Measure ``model`` against ``checkpoint``.

    Raises :class:`QualityError` below the precision's thresholds and :class:`EngineRunError`.
    """
    prompts = load_prompts(checkpoint.folder / "tokenizer.json", window=checkpoint.spec.window)
    reporter.say(f"Verifying: {len(prompts)} prompts through llama.cpp")
    generated = run_greedy(
        model,
        [prompt.ids for prompt in prompts],
        options=options,
        max_tokens=MAX_TOKENS,
        top_k=TOP_K,
        reporter=reporter,
    )
    reporter.say("Verifying: the same through the float32 reference")
    logits = reference_logits(
        checkpoint,
        [[*p.ids, *g.ids[:-1]] for p, g in zip(prompts, generated, strict=True)],
        last=[len(g.ids) for g in generated],
        reporter=reporter,
    )
    first: list[FirstTokens] = []
    found = compare(_noting(zip(prompts, logits, generated, strict=True), first))
    limits = THRESHOLDS[precision]
    if bad := shortfalls(found, limits):
        raise QualityError(
            f"the {precision} engine is too far from the checkpoint: {bad}; "
            "use a higher --precision, or --skip-verify to accept it as unverified"
        )
    quality = Quality(
        prompts=len(prompts),
        positions=found.positions,
        top_k=TOP_K,
        mean_kl=found.mean_kl,
        p99_kl=found.p99_kl,
        top1_agreement=found.top1_agreement,
        max_abs_delta_logprob=found.max_abs_delta_logprob,
        reference="numpy float32 forward of the checkpoint, teacher-forced",
        thresholds=limits,
    )
    return Verification(quality, first, of_engine(prompts, generated))


def _noting(
    answers: Iterable[tuple[Prompt, npt.NDArray[np.float32], Generated]], first: list[FirstTokens]
) -> Iterator[tuple[npt.NDArray[np.float32], Generated]]:
    """Pass on, and append to ``first`` the reference's greedy tokens: those that the engine chose
    too, and the one where it first chose another, beyond which the reference saw other text."""
    for prompt, rows, generated in answers:
        if len(prompt.ids) <= _SHORT:
            ids, margins = [], []
            for row, chosen in zip(rows[:_FIRST], generated.ids, strict=False):
                best, margin = greedy(row)
                ids.append(best)
                margins.append(margin)
                if best != chosen:
                    break
            text = prompt.text.removeprefix("<bos>")
            first.append(FirstTokens(text=text, ids=ids, margins=margins))
        yield rows, generated
