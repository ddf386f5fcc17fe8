"""Structured output."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gemma4_load.workloads.base import Ask, Workload
from gemma4_load.workloads.words import Words, user

__all__ = ["SCHEMA", "Structured"]

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 40},
        "rating": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"enum": ["new", "used", "rare"]}, "maxItems": 3},
    },
    "required": ["title", "rating", "tags"],
    "additionalProperties": False,
}


class Structured(Workload):
    """Answers that must be JSON of :data:`SCHEMA`: guided decoding."""

    name: ClassVar[str] = "structured"

    def __init__(self, words: Words, max_tokens: int) -> None:
        self._words = words
        self._options = {"max_tokens": max_tokens, "json_schema": SCHEMA}

    def first(self, rng: np.random.Generator) -> Ask:
        text = f"Describe this product: {self._words.text(rng, 12)}"
        return Ask(self.name, [user(text)], self._options)
