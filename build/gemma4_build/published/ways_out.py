"""What to do about a GGUF file that is refused."""

from __future__ import annotations

__all__ = ["APART", "ONLY"]

ONLY = "take a GGUF file of Gemma 4 26B-A4B (google/gemma-4-26B-A4B-it)"
APART = f"{ONLY}, and the tokenizer files of the same model"
