"""A second opinion: what was asked, and the figures, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Asked", "Figures", "Opinion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One copy of the model on ``tensor_parallel`` of the catalog's ``gpu``, for requests of
    ``prompt`` and ``output`` tokens. The SLOs are means in milliseconds; None is no limit."""

    gpu: str
    precision: str
    tensor_parallel: int
    prompt: int
    output: int
    ttft_ms: float | None
    itl_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the program calls the best. ``streams`` requests at once and ``tokens_per_s`` are of one
    copy; ``tensor_parallel`` is its own choice among the GPUs that it was given. ``engine`` is
    whose measurements it took, with their version."""

    streams: int
    itl_ms: float
    ttft_ms: float
    tokens_per_s: float
    tokens_per_s_per_gpu: float
    tensor_parallel: int
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """Of ``program`` in ``version`` ("" where it did not say). Either ``figures`` or ``missing``,
    the reason why there are none in one line, is there."""

    program: str
    version: str
    asked: Asked
    figures: Figures | None = None
    missing: str = ""

    @property
    def name(self) -> str:
        """The program and its version."""
        return f"{self.program} {self.version}".strip()
