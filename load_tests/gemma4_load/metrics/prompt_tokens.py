"""Length of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from gemma4_load.metrics.base import RequestMetric, Unit
from gemma4_load.record import Record

__all__ = ["PromptTokens"]


class PromptTokens(RequestMetric):
    """Tokens of the prompt, chat template included, counted by the server."""

    name: ClassVar[str] = "prompt_tokens"
    label: ClassVar[str] = "prompt tokens"
    unit: ClassVar[Unit] = "tokens"
    better: ClassVar[Literal["lower", "higher"] | None] = None

    def values(self, record: Record) -> Sequence[float]:
        return [float(record.prompt_tokens)]
