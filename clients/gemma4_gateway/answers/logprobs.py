"""Log-probs of the tokens that an answer's text is made of. Pure."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["TokenLogProb", "TokenLogProbs", "chat_logprobs", "completion_logprobs"]


class TokenLogProb:
    """``data`` are the token's bytes, maybe a part of a character; ``log_prob`` is natural."""

    __slots__ = ("data", "log_prob", "offset")

    def __init__(self, data: bytes, log_prob: float, offset: int) -> None:
        self.data = data
        self.log_prob = log_prob
        self.offset = offset


_SKIPPED = {b"<|channel>": b"<channel|>", b"<|tool_call>": b"<tool_call|>"}
"""Control tokens, which only the model can emit as single tokens, and what ends each part."""


class TokenLogProbs:
    """Of one choice. Tokens of thoughts and tool calls are left out, and so are those after the
    text: stop tokens, and what a stop string cut off."""

    def __init__(self) -> None:
        self._waiting: deque[TokenLogProb] = deque()
        self._end: bytes | None = None
        self._offset = 0
        self._shown = 0

    def add(self, tokens: list[bytes], log_probs: list[float], text: str) -> list[TokenLogProb]:
        """Tokens of one chunk and its text; gives the tokens whose text has come."""
        for data, log_prob in zip(tokens, log_probs, strict=True):
            if self._end is not None:
                if data == self._end:
                    self._end = None
            elif data in _SKIPPED:
                self._end = _SKIPPED[data]
            else:
                self._waiting.append(TokenLogProb(data, log_prob, self._offset))
                self._offset += len(data)
        self._shown += len(text.encode())
        ready = []
        while self._waiting and self._waiting[0].offset < self._shown:
            ready.append(self._waiting.popleft())
        return ready


def chat_logprobs(tokens: list[TokenLogProb]) -> dict[str, Any]:
    """``logprobs`` of a chat choice."""
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


def completion_logprobs(tokens: list[TokenLogProb], *, first: int) -> dict[str, Any]:
    """``logprobs`` of a completion choice; ``first`` is the offset, in characters, of the first
    token's text."""
    texts = [token.data.decode("utf-8", "replace") for token in tokens]
    offsets = []
    for text in texts:
        offsets.append(first)
        first += len(text)
    return {
        "tokens": texts,
        "token_logprobs": [token.log_prob for token in tokens],
        "top_logprobs": None,
        "text_offset": offsets,
    }
