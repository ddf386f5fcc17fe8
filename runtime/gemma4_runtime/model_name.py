"""What a model is called by those who ask for it."""

from __future__ import annotations

import re

__all__ = ["DEFAULT_NAME", "model_name", "names_a_model"]

DEFAULT_NAME = "gemma-4"
"""Name of a checkpoint that does not say its own."""
_PLACE = re.compile(
    r"(?:hf|huggingface|safetensors|weights?|models?|checkpoints?|snapshots?|data|tmp|source|src)"
    r"(?:[-_.]?\d+)?|[0-9a-f]{40}|[0-9a-f]{64}|[\W_]*",
    re.IGNORECASE,
)


def names_a_model(name: str) -> bool:
    """Return False for words that say where a checkpoint is and not which one: ``checkpoint``,
    ``model``, ``checkpoint-500``, the hash of a snapshot."""
    return name.isprintable() and not _PLACE.fullmatch(name)


def model_name(name: str) -> str:
    """Return the name of an engine's source, or :data:`DEFAULT_NAME` where it names no model."""
    return name if names_a_model(name) else DEFAULT_NAME
