"""Measure a finished ``checkpoint/`` against its source, and note the source's first tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemma4_build.checkpoint import Checkpoint, open_checkpoint, open_tensors
from gemma4_build.errors import BadOptionError
from gemma4_build.model_spec import ModelSpec
from gemma4_build.progress import Reporter
from gemma4_build.reference.weights import EXACT, Rounding, Weights
from gemma4_build.trtllm.divergence import compare_weights, held_out
from gemma4_build.trtllm.first_tokens import first_tokens
from gemma4_build.trtllm.formats import Scheme
from gemma4_build.trtllm.manifest import Proof
from gemma4_build.trtllm.quantized import EngineRounding, QuantizedWeights
from gemma4_build.trtllm.source import Source
from gemma4_build.trtllm.weight_error import check_against_source
from gemma4_build.verify.prompts import load_short_prompts

__all__ = ["open_reference", "prove_close", "verify"]

_ROUNDED = {
    "fp8": "FP8 weights, inputs of the linear layers{} simulated",
    "nvfp4": "NVFP4 weights and inputs{} simulated",
    "w4a8": "INT4 weights simulated, inputs not rounded",
}
BF16_TOKENS = 4
"""Nothing is compared, so fewer passes do."""

BF16_REASON = (
    "the weights are the checkpoint's own, unchanged; compare the running engine with the first "
    "tokens by `gemma4 doctor --gpu`"
)
NO_SOURCE = (
    "the checkpoint was quantized elsewhere and its source is absent (give it with --reference): "
    "names, types, shapes and scales were checked, quality was not"
)


@contextmanager
def open_reference(folder: Path | None, spec: ModelSpec) -> Iterator[Checkpoint | None]:
    """Open the bf16 checkpoint of ``--reference``. Raises :class:`BadOptionError` for another
    model."""
    if folder is None:
        yield None
        return
    with open_checkpoint(folder) as checkpoint:
        if checkpoint.spec != spec:
            raise BadOptionError(
                f"--reference {folder}: its config.json has other sizes than the quantized one"
            )
        yield checkpoint


def prove_close(
    exact: Checkpoint, scheme: Scheme, folder: Path, reporter: Reporter, threads: int | None
) -> float:
    """Check that every matrix of ``folder`` is ``exact``'s within rounding; return the largest
    relative error."""
    with open_tensors(folder) as (stored, _):
        return check_against_source(exact, exact.tensors, scheme, stored, reporter, threads)


def verify(
    source: Source,
    exact: Weights | None,
    spec: ModelSpec,
    folder: Path,
    precision: str,
    reporter: Reporter,
) -> Proof:
    """Prove and measure a folder. ``exact`` are the weights to compare with, None if they are
    absent; ``folder`` is the finished checkpoint, ``spec`` has its widths.

    Raises :class:`gemma4_build.errors.QualityError`.
    """
    # Those within the sliding window: every token of an answer takes a pass over all.
    prompts = load_short_prompts(source.folder / "tokenizer.json", window=source.spec.window)
    scheme = source.scheme
    if scheme is None:
        assert exact is not None
        tokens = first_tokens(exact, prompts, reporter, stops=source.eos_ids, tokens=BF16_TOKENS)
        return Proof(None, BF16_REASON, tokens)
    with open_tensors(folder) as (stored, _):
        weights = QuantizedWeights.over(spec, scheme, stored)
        rounding: Rounding = EngineRounding(spec, scheme, stored, fp8_cache=source.fp8_cache)
        if scheme.format == "w4a8":
            rounding = EXACT
        if exact is None:
            tokens = first_tokens(
                weights, prompts, reporter, stops=source.eos_ids, rounding=rounding
            )
            return Proof(None, NO_SOURCE, tokens)
        tokens = first_tokens(exact, prompts, reporter, stops=source.eos_ids)
        quality = compare_weights(
            exact,
            weights,
            rounding,
            answers=[(p.ids, t.ids) for p, t in zip(prompts, tokens, strict=True)],
            held=held_out(source.folder / "tokenizer.json"),
            precision=precision,
            note=_ROUNDED[scheme.format].format(" and FP8 KV cache" if source.fp8_cache else ""),
            reporter=reporter,
        )
    return Proof(quality, "", tokens)
