"""Log-probs of the tokens that an answer's text is made of. Pure."""

from __future__ import annotations

from typing import Any

from gemma4_client import Delta
from gemma4_runtime.output.utf8 import unfinished_tail

__all__ = ["TokenLogProb", "TokenLogProbs", "chat_logprobs", "completion_logprobs"]

_QUOTE = b'<|"|>'
"""The control token around a string of a tool call; in a call that cannot be read its text is one
quotation mark."""


class TokenLogProb:
    """``data`` are the bytes that the token gave to the text, maybe a part of a character;
    ``log_prob`` is natural; ``offset`` counts the characters of the text before them."""

    __slots__ = ("data", "log_prob", "offset")

    def __init__(self, data: bytes, log_prob: float, offset: int) -> None:
        self.data = data
        self.log_prob = log_prob
        self.offset = offset


class TokenLogProbs:
    """Of one choice. The engine names the tokens that its text is made of, so tokens of thoughts
    and tool calls, control tokens and what a stop string cut off are not among them."""

    def __init__(self) -> None:
        self._tokens: list[tuple[bytes, float]] = []
        self._offset = 0
        self._unfinished = b""
        self._begun = (-1, 0)  # the newest token, and how many bytes of it have come

    def add(self, tokens: list[bytes], delta: Delta) -> list[TokenLogProb]:
        """Add a chunk and return its tokens. ``tokens`` are the bytes of the chunk's ids; the
        result is the tokens whose text is complete. The rest of a token that a call or a thought
        divided is certain: its log-prob is 0."""
        self._tokens += zip(tokens, delta.log_probs, strict=True)
        ready = []
        for number, size in delta.text_tokens:
            data, log_prob = self._tokens[number]
            if data == _QUOTE and size == 1:
                data = b'"'
            begun, at = self._begun
            if number == begun:
                log_prob = 0.0
            else:
                at = 0
            self._begun = (number, at + size)
            data = data[at : at + size]
            ready.append(TokenLogProb(data, log_prob, self._advance(data)))
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
        {
            "token": token.data.decode("utf-8", "replace"),
            "logprob": token.log_prob,
            "bytes": list(token.data),
            "top_logprobs": [],
        }
        for token in tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(tokens: list[TokenLogProb]) -> dict[str, Any]:
    """Return ``logprobs`` of a completion choice."""
    return {
        "tokens": [token.data.decode("utf-8", "replace") for token in tokens],
        "token_logprobs": [token.log_prob for token in tokens],
        "top_logprobs": None,
        "text_offset": [token.offset for token in tokens],
    }
