"""What the benches start: real servers, as the end-to-end tests do, and engines of a known pace."""

from __future__ import annotations

import sys
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.command import GEMMA4, Command  # noqa: E402 - importable by the line above
from e2e.gateway.running import MODEL, RunningGateway  # noqa: E402 - importable by the line above
from e2e.served import Served  # noqa: E402 - importable by the line above

__all__ = [
    "GEMMA4", "MODEL", "ROOT", "UNPACED", "Command", "RunningGateway", "Served", "synthetic_engine",
]  # fmt: skip

UNPACED = 1e9
"""Tokens/s that no host path reaches."""


def synthetic_engine(
    folder: Path, *, tokens_per_s: float, slots: int, prefill_tokens_per_s: float = UNPACED
) -> Path:
    """An engine folder without a model, made in ``folder``; the pace is of each stream."""
    request = BuildRequest(
        checkpoint=ROOT / "demo" / "checkpoint",
        out=folder,
        runtime="synthetic",
        slots=slots,
        max_total_tokens=4096,
        decode_tokens_per_s=tokens_per_s,
        prefill_tokens_per_s=prefill_tokens_per_s,
    )
    build_engine(request, SilentReporter())
    return folder
