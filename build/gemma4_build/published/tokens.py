"""The proof that the vocabulary of a GGUF file is the tokenizer's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gemma4_build.errors import TokenizerError
from gemma4_build.published.head import TOKENS
from gemma4_build.published.ways_out import APART, ONLY
from gemma4_build.vocabulary import Vocabulary

__all__ = ["check_vocabulary"]

_VOCABULARY = "gemma4"


def check_vocabulary(path: Path, keys: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    """Raise :class:`TokenizerError` unless the file's tokens are those of tokenizer.json, one by
    one. Their types are not compared: converters differ, and the new head has its own."""
    model = keys.get("tokenizer.ggml.model")
    if model != _VOCABULARY:
        raise TokenizerError(
            f"{path}: tokenizer.ggml.model is {model!r}, need {_VOCABULARY!r}; {ONLY}"
        )
    tokens = keys.get(TOKENS)
    if not isinstance(tokens, tuple) or len(tokens) != len(vocabulary.tokens):
        count = len(tokens) if isinstance(tokens, tuple) else "no"
        raise TokenizerError(
            f"{path}: {TOKENS} has {count} tokens, tokenizer.json {len(vocabulary.tokens)}; {APART}"
        )
    for number, (found, wanted) in enumerate(zip(tokens, vocabulary.tokens, strict=True)):
        if found != wanted:
            raise TokenizerError(
                f"{path}: {TOKENS}[{number}] is {found!r}, tokenizer.json has {wanted!r}; {APART}"
            )
    for name, allowed in (
        ("bos", [vocabulary.special["bos"]]),
        ("eos", vocabulary.eos_ids),
    ):
        key = f"tokenizer.ggml.{name}_token_id"
        if keys.get(key, allowed[0]) not in allowed:
            raise TokenizerError(f"{path}: {key} is {keys[key]!r}, need one of {allowed}; {APART}")
