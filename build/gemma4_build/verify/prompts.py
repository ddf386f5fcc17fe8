"""The held-out prompts, as token ids of the checkpoint's own tokenizer.

``prompts.json`` has chat-rendered text (Gemma 4's documented format). A text with ``{passage}`` is
made longer than the sliding window by repeating its passage.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tokenizers import Tokenizer

__all__ = ["Prompt", "load_prompts", "load_short_prompts"]

_BEYOND_WINDOW = 1.25
"""Long prompts have at least this many windows of tokens."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """``ids`` starts with BOS once, as ``text`` does."""

    name: str
    ids: tuple[int, ...]
    text: str


def load_prompts(tokenizer_json: Path, *, window: int) -> list[Prompt]:
    """Return all prompts, tokenized."""
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    text = files("gemma4_build.verify").joinpath("prompts.json").read_text(encoding="utf-8")
    return [_prompt(tokenizer, entry, window) for entry in json.loads(text)]


def load_short_prompts(tokenizer_json: Path, *, window: int) -> list[Prompt]:
    """Return the prompts that fit into a sliding ``window``."""
    found = load_prompts(tokenizer_json, window=window)
    return [prompt for prompt in found if not prompt.name.startswith("long")]


def _prompt(tokenizer: Tokenizer, entry: dict[str, str], window: int) -> Prompt:
    def encode(text: str) -> tuple[int, ...]:
        return tuple(tokenizer.encode(text, add_special_tokens=False).ids)

    passage = entry.get("passage")
    if passage is None:
        return Prompt(entry["name"], encode(entry["text"]), entry["text"])
    length = len(encode(passage))
    repeats = 1 + int(_BEYOND_WINDOW * window) // length
    text = entry["text"].replace("{passage}", passage * repeats)
    return Prompt(entry["name"], encode(text), text)
