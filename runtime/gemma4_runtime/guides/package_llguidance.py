"""The llguidance of the Python package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llguidance import LLMatcher, LLTokenizer

from gemma4_runtime.errors import Code, invalid

__all__ = ["PackageMatcher", "package_tokenizer", "validate"]


def validate(field: str, grammar: str) -> None:
    """Compile a guide. Raises INVALID_ARGUMENT for one that does not compile."""
    problem = LLMatcher.validate_grammar(grammar)
    if problem:
        raise invalid(Code.GUIDE_UNSUPPORTED, field, f"cannot be used: {problem.splitlines()[0]}")


def package_tokenizer(tokenizer_json: Path) -> LLTokenizer:
    return LLTokenizer(tokenizer_json.read_text(encoding="utf-8"))


class PackageMatcher:
    """As :class:`~gemma4_runtime.guides.matchers.Matcher`."""

    def __init__(self, tokenizer: LLTokenizer, grammar: str) -> None:
        self._matcher = LLMatcher(tokenizer, grammar, log_level=0)

    def error(self) -> str:
        return self._matcher.get_error() or ""

    def mask(self) -> int:
        return int.from_bytes(self._matcher.compute_bitmask(), "little")

    def consume(self, tokens: Sequence[int]) -> bool:
        return bool(self._matcher.consume_tokens(list(tokens)))

    def is_accepting(self) -> bool:
        return bool(self._matcher.is_accepting())

    def is_stopped(self) -> bool:
        return bool(self._matcher.is_stopped())
