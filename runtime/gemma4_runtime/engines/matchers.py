"""Matchers of guides, of the llguidance that the runtime of an engine has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gemma4_runtime.capabilities import Enforcer
from gemma4_runtime.output.vocab import load_token_table

__all__ = ["Matcher", "matchers_of", "missing_characters"]


class Matcher(Protocol):
    """The state of one answer under a guide."""

    def error(self) -> str:
        """Why it cannot go on; "" while it can."""

    def mask(self) -> int:
        """Bit ``n`` is set when token ``n`` may come next; 0 in an error."""

    def consume(self, tokens: Sequence[int]) -> bool:
        """Go on by ``tokens``; False when the guide does not allow them."""

    def is_accepting(self) -> bool:
        """What was consumed is a whole answer."""

    def is_stopped(self) -> bool:
        """Nothing more may come."""


def matchers_of(
    tokenizer_json: Path, *, enforcer: Enforcer, byte_tokens: bool | None = None
) -> Callable[[str], Matcher]:
    """From a grammar in llguidance's Lark to its matcher. "wheel": the llguidance inside
    xllamacpp, which enforces guides there; "package": the Python package.
    ``byte_tokens``: whether byte tokens are bytes; None: as the runtime can."""
    if enforcer == "wheel":
        from gemma4_runtime.engines.wheel_llguidance import WheelMatcher, WheelTokenizer
        from gemma4_runtime.engines.wheel_tokens import can_replace

        tokenizer = WheelTokenizer(
            load_token_table(tokenizer_json),
            byte_tokens=can_replace() if byte_tokens is None else byte_tokens,
        )
        return lambda grammar: WheelMatcher(tokenizer, grammar)
    from gemma4_runtime.engines.package_llguidance import PackageMatcher, package_tokenizer

    package = package_tokenizer(tokenizer_json)
    return lambda grammar: PackageMatcher(package, grammar)


def missing_characters(
    tokenizer_json: Path, *, enforcer: Enforcer
) -> Callable[[set[str]], set[str]]:
    """Which of some characters the runtime cannot write under a guide."""
    if enforcer == "wheel":
        from gemma4_runtime.engines.wheel_tokens import can_replace

        if not can_replace():
            whole = set(load_token_table(tokenizer_json).pieces)
            return lambda wanted: {char for char in wanted if char.encode() not in whole}
    return lambda wanted: set()
