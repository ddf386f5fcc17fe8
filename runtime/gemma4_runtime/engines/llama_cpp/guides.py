"""Guides in llama.cpp: what it may be given."""

from __future__ import annotations

from threading import Lock
from typing import Any

import orjson

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.wheel_llguidance import WheelMatcher, WheelTokenizer
from gemma4_runtime.guides.wheel_tokens import Static, can_replace
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["LlamaGuides"]

_LOCK = Lock()
_FIRST = '%llguidance {}\nstart: "a" | "b"'
_ENDS = (b"<eos>", b"<turn|>")
"""One of them llama.cpp takes for the end of what a guide allows."""
_PROOF = "\U00010fff"
"""A character that no vocabulary has as a token."""


class LlamaGuides:
    """``banned``: ids that may not be drawn under a guide. Raises :class:`RuntimeError` when
    llama.cpp does not keep to a guide."""

    def __init__(self, table: TokenTable, server: Any) -> None:
        self._table = table
        self._server = server
        self._bos = table.pieces.index(b"<bos>")
        self._tokenizer = WheelTokenizer(table, byte_tokens=can_replace())
        self._static = Static() if can_replace() else None
        self._state = (0, 0)
        ends = {table.pieces.index(text) for text in _ENDS}
        self.banned = tuple(sorted((table.byte_ids | table.special) - ends))
        if self._static is not None:
            self._teach(self._static)

    def _teach(self, static: Static) -> None:
        """And prove that it was of use."""
        literal = tuple(sorted(self._table.byte_ids))
        self._generate(_FIRST, 1, literal)
        static.replace(self._tokenizer)
        drawn = self._generate(f'%llguidance {{}}\nstart: "{_PROOF}"', len(_PROOF.encode()), ())
        if b"".join(self._table.pieces[token] for token in drawn) != _PROOF.encode():
            raise RuntimeError(
                f"llama.cpp does not keep to a guide: {drawn} are not a character's byte tokens"
            )
        self._state = static.state()
        self.banned = ()

    def check(self, grammar: str) -> None:
        """INVALID_ARGUMENT for a grammar that llama.cpp could not use: it would only log that, and
        generate without it. Preparation has tried it already; this costs what compiling does."""
        if self._static is not None and self._static.state() != self._state:
            with _LOCK:  # another engine in this process ran a guide
                self._teach(self._static)
        problem = WheelMatcher(self._tokenizer, grammar).error()
        if problem:
            raise invalid(
                Code.GUIDE_UNSUPPORTED,
                "guided_decoding_guide",
                f"cannot be used: {problem.splitlines()[0]}",
            )

    def _generate(self, grammar: str, tokens: int, banned: tuple[int, ...]) -> list[int]:
        """The ids of an answer to nothing."""
        found: list[int] = []

        def read(data: bytes) -> bool:
            found.extend(orjson.loads(data)["__verbose"]["tokens"])
            return False

        body = {
            "prompt": [self._bos],
            "stream": True,
            "verbose": True,
            "n_predict": tokens,
            "temperature": 0.0,
            "grammar": grammar,
            "logit_bias": [[token, False] for token in banned],
        }
        self._server.handle_completions(orjson.dumps(body), read)
        return found
