"""Guides in llama.cpp: what it may be given."""

from __future__ import annotations

from threading import Lock
from typing import Any

import orjson

from gemma4_runtime.engines.llama_cpp.vocabulary import LlamaVocabulary
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
        self._tokenizer: WheelTokenizer | None = None
        self._static = Static() if can_replace() else None
        self._state = (0, 0)
        ends = {table.pieces.index(text) for text in _ENDS}
        self.banned = tuple(sorted((table.byte_ids | table.special) - ends))
        if self._static is None:
            self._tokenizer = WheelTokenizer(table, byte_tokens=False)
        else:
            self._teach(self._static)

    def _teach(self, static: Static) -> None:
        """Give llama.cpp our tokenizer for guides, and prove that it was of use."""
        literal = tuple(sorted(self._table.byte_ids))
        self._generate(_FIRST, 1, literal)
        if self._tokenizer is None:
            self._vocabulary = LlamaVocabulary(static.state()[0], self._table).tokenize
            self._tokenizer = WheelTokenizer(self._table, tokenize=self._vocabulary)
        static.replace(self._tokenizer)
        for text in (_PROOF, self._longest_word()):
            self._prove(text)
        self._state = static.state()
        self.banned = ()

    def _prove(self, text: str) -> None:
        """Raise :class:`RuntimeError` unless llama.cpp writes ``text``, which a guide forces, in
        the tokens that the model has learned."""
        wanted = self._vocabulary(text.encode())
        drawn = self._generate(f'%llguidance {{}}\nstart: "{text}"', len(wanted), ())
        if drawn != wanted:
            raise RuntimeError(
                f"llama.cpp does not keep to a guide: it wrote {text!r} as the tokens {drawn}, "
                f"which should be {wanted}"
            )

    def _longest_word(self) -> str:
        """Return the longest token of letters, which must not be spelled letter by letter."""
        words = (piece for piece in self._table.pieces if piece.isalpha())
        return max(words, key=len, default=b"a").decode()

    def check(self, grammar: str) -> None:
        """Raise INVALID_ARGUMENT for a grammar that llama.cpp could not use: it would only log
        that, and generate without it. Preparation has tried it already; this costs what compiling
        does."""
        if self._static is not None and self._static.state() != self._state:
            with _LOCK:  # another engine in this process ran a guide
                self._teach(self._static)
        assert self._tokenizer is not None
        problem = WheelMatcher(self._tokenizer, grammar).error()
        if problem:
            raise invalid(
                Code.GUIDE_UNSUPPORTED,
                "guided_decoding_guide",
                f"cannot be used: {problem.splitlines()[0]}",
            )

    def _generate(self, grammar: str, tokens: int, banned: tuple[int, ...]) -> list[int]:
        """Return the ids of an answer to nothing."""
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
