"""What every transport needs."""

from __future__ import annotations

__all__ = ["NEEDED", "own_cancel"]

NEEDED = ("preprocessing", "engine", "postprocessing", "gemma4", "gemma4_tokenizer")
"""Models that answers and tokens come from."""


def own_cancel() -> str:
    """Return the text of a CancelledError that this client caused."""
    return "cancelled by this client"
