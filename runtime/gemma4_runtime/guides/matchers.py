"""Matchers of guides, of the llguidance that the runtime of an engine has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gemma4_runtime.capabilities import Enforcer
from gemma4_runtime.output.vocab import load_token_table

if TYPE_CHECKING:
    from llguidance import LLTokenizer

    from gemma4_runtime.guides.wheel_llguidance import WheelTokenizer

__all__ = ["Matcher", "matchers_of", "missing_characters"]


class Matcher(Protocol):
    """The state of one answer under a guide."""

    def error(self) -> str:
        """Return why it cannot go on; "" while it can."""

    def mask(self) -> int:
        """Return a mask whose bit ``n`` is set when token ``n`` may come next; 0 in an error."""

    def consume(self, tokens: Sequence[int]) -> bool:
        """Go on by ``tokens``; False when the guide does not allow them."""

    def is_accepting(self) -> bool:
        """Return whether what was consumed is a whole answer."""

    def is_stopped(self) -> bool:
        """Return whether nothing more may come."""


def matchers_of(
    tokenizer_json: Path, *, enforcer: Enforcer, byte_tokens: bool | None = None
) -> Callable[[str], Matcher]:
    """Return what makes a matcher of a grammar in llguidance's Lark. "wheel": the llguidance inside
    xllamacpp, which enforces guides there; "package": the Python package. ``byte_tokens``: whether
    byte tokens are bytes; None: as the runtime can."""
    if enforcer == "wheel":
        from gemma4_runtime.guides.wheel_llguidance import WheelMatcher
        from gemma4_runtime.guides.wheel_tokens import can_replace

        usable = can_replace() if byte_tokens is None else byte_tokens
        tokenizer = _wheel_tokenizer(tokenizer_json, byte_tokens=usable)
        return lambda grammar: WheelMatcher(tokenizer, grammar)
    from gemma4_runtime.guides.package_llguidance import PackageMatcher

    package = _package_tokenizer(tokenizer_json)
    return lambda grammar: PackageMatcher(package, grammar)


def missing_characters(
    tokenizer_json: Path, *, enforcer: Enforcer
) -> Callable[[set[str]], set[str]]:
    """Return what says which of some characters the runtime cannot write under a guide."""
    if enforcer == "wheel":
        from gemma4_runtime.guides.wheel_tokens import can_replace

        if not can_replace():
            whole = set(load_token_table(tokenizer_json).pieces)
            return lambda wanted: {char for char in wanted if char.encode() not in whole}
    return lambda wanted: set()


@cache
def _wheel_tokenizer(tokenizer_json: Path, *, byte_tokens: bool) -> WheelTokenizer:
    """Make the wheel's tokenizer. Of 262,144 tokens it takes some 90 MB and 4 s of one core."""
    from gemma4_runtime.guides.wheel_llguidance import WheelTokenizer

    return WheelTokenizer(load_token_table(tokenizer_json), byte_tokens=byte_tokens)


@cache
def _package_tokenizer(tokenizer_json: Path) -> LLTokenizer:
    from gemma4_runtime.guides.package_llguidance import package_tokenizer

    return package_tokenizer(tokenizer_json)
