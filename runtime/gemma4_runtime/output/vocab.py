"""What each token id means for the output: its bytes, or the control token that it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.added_tokens import split_added

__all__ = ["ControlIds", "TokenTable", "load_token_table"]

_BYTE = re.compile(r"<0x([0-9A-F]{2})>\Z")
_SPACE = "▁"


@dataclass(frozen=True, slots=True)
class ControlIds:
    """Ids of the tokens that steer channels, read from the tokenizer by their text."""

    think_open: int
    think_close: int
    call_open: int
    call_close: int
    quote: int
    response_open: int


@dataclass(frozen=True, slots=True)
class TokenTable:
    """``pieces[id]`` is the token's text as UTF-8 (part of a character for a byte token).

    ``special`` holds the ids that are control tokens, as
    :func:`~gemma4_runtime.added_tokens.is_control` says: they are no text of an answer, but their
    literal in ``pieces`` is needed inside tool calls. ``byte_ids`` are the 256 byte tokens.
    """

    pieces: tuple[bytes, ...]
    special: frozenset[int]
    byte_ids: frozenset[int]
    control: ControlIds

    def letters(self) -> dict[int, int]:
        """Return byte -> the ordinary token that is that byte alone, where there is one."""
        return {
            piece[0]: token
            for token, piece in enumerate(self.pieces)
            if len(piece) == 1 and token not in self.byte_ids and token not in self.special
        }


def load_token_table(tokenizer_json: Path) -> TokenTable:
    """Read ``tokenizer.json``. Raises :class:`ValueError` when it lacks one of Gemma 4's control
    tokens, is no BPE tokenizer with byte fallback, or adds text that contains a control token."""
    data = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    model = data.get("model", {})
    if model.get("type") != "BPE" or not model.get("byte_fallback"):
        raise ValueError(f"{tokenizer_json}: not a BPE tokenizer with byte fallback")
    vocab: dict[str, int] = model["vocab"]
    steering, others = split_added(data.get("added_tokens", []))
    ids = vocab | {entry["content"]: int(entry["id"]) for entry in others}
    size = 1 + max(max(ids.values(), default=0), max(steering.values(), default=0))
    pieces = [b""] * size
    byte_ids = set()
    for text, token_id in ids.items():
        byte = _BYTE.match(text)
        if byte is None:
            pieces[token_id] = text.replace(_SPACE, " ").encode()
        else:
            pieces[token_id] = bytes([int(byte[1], 16)])
            byte_ids.add(token_id)
    for text, token_id in steering.items():
        pieces[token_id] = text.encode()

    def find(text: str) -> int:
        if text not in steering:
            raise ValueError(f"{tokenizer_json}: no {text!r}; not a Gemma 4 tokenizer")
        return steering[text]

    control = ControlIds(
        think_open=find("<|channel>"),
        think_close=find("<channel|>"),
        call_open=find("<|tool_call>"),
        call_close=find("<tool_call|>"),
        quote=find('<|"|>'),
        response_open=find("<|tool_response>"),
    )
    special = frozenset(steering.values())
    return TokenTable(tuple(pieces), special, frozenset(byte_ids), control)
