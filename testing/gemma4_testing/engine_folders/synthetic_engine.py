"""Engines of a known pace, for tests and benches."""

from __future__ import annotations

from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

__all__ = ["UNPACED", "synthetic_engine"]

CHECKPOINT = Path(__file__).parents[3] / "demo" / "checkpoint"
UNPACED = 1e9
"""Tokens/s that no host path reaches."""


def synthetic_engine(
    folder: Path,
    *,
    tokens_per_s: float,
    slots: int,
    tokens_per_step: int = 1,
    prefill_tokens_per_s: float = UNPACED,
    max_total_tokens: int = 4096,
    checkpoint: Path = CHECKPOINT,
) -> Path:
    """An engine folder without a model, made in ``folder``; the pace is of each stream."""
    request = BuildRequest(
        checkpoint=checkpoint,
        out=folder,
        runtime="synthetic",
        slots=slots,
        max_total_tokens=max_total_tokens,
        decode_tokens_per_s=tokens_per_s,
        tokens_per_step=tokens_per_step,
        prefill_tokens_per_s=prefill_tokens_per_s,
    )
    build_engine(request, SilentReporter())
    return folder
