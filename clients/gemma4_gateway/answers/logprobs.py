"""Log-probs of the tokens that an answer's text is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from gemma4_client import Delta
from gemma4_runtime.output.utf8 import unfinished_tail

__all__ = ["TokenLogProb", "TokenLogProbs", "chat_logprobs", "completion_logprobs"]

_QUOTE = b'<|"|>'
"""The control token around a string of a tool call; in a call that cannot be read its text is one
quotation mark."""


Top = Sequence[tuple[bytes, float]]
"""Tokens by their bytes, with natural logs of their probabilities."""


class TokenLogProb:
    """``data`` are the bytes that the token gave to the text, maybe a part of a character;
    ``log_prob`` is natural; ``offset`` counts the characters of the text before them. ``top`` are
    the most probable tokens in its place, the best first."""

    __slots__ = ("data", "log_prob", "offset", "top")

    def __init__(self, data: bytes, log_prob: float, offset: int, top: Top = ()) -> None:
        self.data = data
        self.log_prob = log_prob
        self.offset = offset
        self.top = top


class TokenLogProbs:
    """Of one choice. The engine names the tokens that its text is made of, so tokens of thoughts
    and tool calls, control tokens and what a stop string cut off are not among them."""

    def __init__(self) -> None:
        self._tokens: list[tuple[bytes, float, Top]] = []
        self._offset = 0
        self._unfinished = b""
        self._begun = (-1, 0)  # the newest token, and how many bytes of it have come

    def add(
        self, tokens: list[bytes], delta: Delta, tops: Sequence[Top] = ()
    ) -> list[TokenLogProb]:
        """Add a chunk and return its tokens. ``tokens`` are the bytes of the chunk's ids, ``tops``
        the most probable ones in their places if they were asked for; the result is the tokens
        whose text is complete. The rest of a token that a call or a thought divided is certain: its
        log-prob is 0, and there is no other."""
        self._tokens += zip(tokens, delta.log_probs, tops or repeat((), len(tokens)), strict=True)
        ready = []
        for number, size in delta.text_tokens:
            data, log_prob, top = self._tokens[number]
            if data == _QUOTE and size == 1:
                data = b'"'
            begun, at = self._begun
            if number == begun:
                log_prob, top = 0.0, ()
            else:
                at = 0
            self._begun = (number, at + size)
            data = data[at : at + size]
            ready.append(TokenLogProb(data, log_prob, self._advance(data), top))
        return ready

    def _advance(self, data: bytes) -> int:
        """Return the offset of ``data``: that of the character it continues, if it continues
        one."""
        offset = self._offset
        if self._unfinished:  # one character so far; two if the next byte is none of its bytes
            offset += len((self._unfinished + data[:1]).decode("utf-8", "replace")) - 1
        data = self._unfinished + data
        end = len(data) - unfinished_tail(data)
        self._offset += len(data[:end].decode("utf-8", "replace"))
        self._unfinished = data[end:]
        return offset


def chat_logprobs(tokens: list[TokenLogProb]) -> dict[str, Any]:
    """Return ``logprobs`` of a chat choice."""
    content = [
        _shown(token.data, token.log_prob)
        | {"top_logprobs": [_shown(*other) for other in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def _shown(data: bytes, log_prob: float) -> dict[str, Any]:
    return {"token": _text(data), "logprob": log_prob, "bytes": list(data)}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _by_text(token: TokenLogProb) -> dict[str, float]:
    """Return the most probable tokens and the chosen one. Of several with one text, such as parts
    of characters, the most probable stays."""
    found: dict[str, float] = {}
    for data, log_prob in (*token.top, (token.data, token.log_prob)):
        found.setdefault(_text(data), log_prob)
    return found


def completion_logprobs(tokens: list[TokenLogProb], *, top: bool = False) -> dict[str, Any]:
    """Return ``logprobs`` of a completion choice, with the most probable tokens if ``top``."""
    return {
        "tokens": [_text(token.data) for token in tokens],
        "token_logprobs": [token.log_prob for token in tokens],
        "top_logprobs": [_by_text(token) for token in tokens] if top else None,
        "text_offset": [token.offset for token in tokens],
    }
