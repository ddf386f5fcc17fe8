"""Gemma 4's tool call: ``call:NAME{key:value,...}`` between two control tokens."""

from __future__ import annotations

import hashlib
import re

from gemma4_runtime.output.call_scalars import QUOTE, MalformedCallError
from gemma4_runtime.output.call_values import ArgumentReader

__all__ = ["CallBody", "MalformedCallError", "call_id", "parse_call"]

_NAME = re.compile(r"(?:call\s*:|:)?\s*([\w\-.]+)\s*")
_DOUBLED = re.compile(r"\{\s*\{")


def call_id(key: str, index: int) -> str:
    """Return ``call_`` and 24 hex digits, the same for the same request and call."""
    return "call_" + hashlib.sha256(f"{key}/{index}".encode()).hexdigest()[:24]


def parse_call(text: str, *, closed: bool) -> tuple[str, str]:
    """Return the name, and the arguments as the text of a JSON object.

    ``text`` has :data:`~gemma4_runtime.output.call_scalars.QUOTE` for each quote token. ``closed``:
    the end marker came, so the last brace may be missing; without it the call must be complete.
    Raises :class:`MalformedCallError`.
    """
    text = text.strip()
    match = _NAME.match(text)
    if match is None:
        raise MalformedCallError("no function name")
    # After an inner object the missing brace could also be that of the inner one, and after a
    # comma more is missing than a brace.
    if closed and (text[-1] not in "{,}" or _DOUBLED.match(text, match.end())):
        text += "}"
    reader = ArgumentReader(text, match.end())
    arguments = reader.object()
    if text[reader.at :].replace("}", "").strip():  # doubled braces may be left
        raise MalformedCallError("text after the arguments")
    return match[1], arguments


class CallBody:
    """What stands between a call's markers, as tokens bring it."""

    def __init__(self) -> None:
        self._pieces: list[tuple[bytes | None, int]] = []
        self.size = 0

    def add(self, piece: bytes | None, number: int) -> None:
        """Add the text of a token that is no control token, or None: a quote token. ``number`` is
        the token's in the answer."""
        self._pieces.append((piece, number))
        self.size += 1 if piece is None else len(piece)

    def read(self, *, closed: bool) -> tuple[str, str]:
        """Do as :func:`parse_call`."""
        runs = [bytearray()]
        for piece, _ in self._pieces:
            if piece is None:
                runs.append(bytearray())
            else:
                runs[-1] += piece
        text = QUOTE.join(run.decode("utf-8", errors="replace") for run in runs)
        return parse_call(text, closed=closed)

    def shown(self) -> list[tuple[bytes, int]]:
        """Return what a client sees of a call that cannot be read, by tokens: ``"`` for a quote
        token."""
        return [(b'"' if piece is None else piece, number) for piece, number in self._pieces]
