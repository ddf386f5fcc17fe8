"""Channels of an answer, told apart by token ids: content, reasoning, tool calls.

``<|channel>`` opens a thought and ``<channel|>`` closes it; the label ``thought`` and the white
space after it are no part of the thought, nor is one newline before its end (the chat template
writes ``thought\\n...\\n<channel|>``). A tool call is collected whole.
"""

from __future__ import annotations

from typing import Literal

from gemma4_runtime.messages import Channel
from gemma4_runtime.output.tool_calls import MalformedCallError, Part, parse_call
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["ChannelSplitter", "Event"]

Event = tuple[Literal["bytes"], Channel, bytes] | tuple[Literal["call"], str, str]

_LABEL = b"thought"
_SPACES = b" \t\r\n"
_LARGEST_CALL = 1 << 20
"""Bytes after which a tool call that does not end is given up and delivered as text."""


class ChannelSplitter:
    """Feed token ids, get bytes of a channel or whole tool calls. Never raises on any ids."""

    def __init__(self, table: TokenTable, *, channel: Channel, parse_tools: bool) -> None:
        self._table = table
        self._parse_tools = parse_tools
        self._reasoning = channel == "reasoning"
        self._label: bytes | None = None  # what may be the label, while it is undecided
        self._newline = False  # a newline of the thought, held: it may be the last
        self._call: list[int] | None = None
        self._call_bytes = 0

    def push(self, token: int) -> list[Event]:
        """Events that ``token`` completes, in order. Ids beyond the vocabulary are no text."""
        control = self._table.control
        if self._call is not None:
            return self._in_call(token)
        if token == control.think_open:
            if not self._reasoning:
                self._reasoning, self._label = True, b""
            return []
        if token == control.think_close:
            events = self._end_label()
            self._reasoning, self._newline = False, False
            return events
        if token == control.call_open and self._parse_tools:
            events = self._end_label()
            self._reasoning, self._newline = False, False
            self._call, self._call_bytes = [], 0
            return events
        if token >= len(self._table.pieces):
            return []
        literal = not self._parse_tools and token in (
            control.call_open,
            control.call_close,
            control.quote,
        )
        if token in self._table.special and not literal:
            return []
        return self._text(self._table.pieces[token])

    def finish(self) -> list[Event]:
        """What was held and is text after all."""
        if self._call is not None:
            return self._give_up()
        events = self._end_label()
        if self._newline:
            events.append(("bytes", "reasoning", b"\n"))
            self._newline = False
        return events

    def _text(self, data: bytes) -> list[Event]:
        if not self._reasoning:
            return [("bytes", "content", data)] if data else []
        if self._label is not None:
            return self._try_label(data)
        return self._thought(data)

    def _thought(self, data: bytes) -> list[Event]:
        if self._newline:
            data = b"\n" + data
        self._newline = data.endswith(b"\n")
        if self._newline:
            data = data[:-1]
        return [("bytes", "reasoning", data)] if data else []

    def _try_label(self, data: bytes) -> list[Event]:
        assert self._label is not None
        self._label += data
        held = self._label.lstrip(_SPACES)
        if _LABEL.startswith(held):
            return []
        if held.startswith(_LABEL):
            rest = held[len(_LABEL) :]
            if rest[:1] not in (b" ", b"\t", b"\r", b"\n"):
                return self._end_label()  # a word such as "thoughtful"
            rest = rest.lstrip(_SPACES)
            if not rest:
                return []
            self._label = None
            return self._thought(rest)
        return self._end_label()

    def _end_label(self) -> list[Event]:
        """The label can grow no more: drop it if it is one, deliver it if it is text."""
        held, self._label = self._label, None
        if not held or held.strip(_SPACES) == _LABEL or not held.strip(_SPACES):
            return []
        return self._thought(held)

    def _in_call(self, token: int) -> list[Event]:
        assert self._call is not None
        control = self._table.control
        if token == control.call_close:
            return self._end_call()
        if token == control.call_open:  # a new call; the old one was never closed
            events = self._end_call()
            self._call, self._call_bytes = [], 0
            return events
        if token < len(self._table.pieces):
            self._call.append(token)
            self._call_bytes += len(self._table.pieces[token])
            if self._call_bytes > _LARGEST_CALL:
                return self._give_up()
        return []

    def _end_call(self) -> list[Event]:
        assert self._call is not None
        try:
            name, arguments = parse_call(self._parts(self._call))
        except MalformedCallError:
            return self._give_up(closed=True)
        self._call = None
        return [("call", name, arguments)]

    def _parts(self, ids: list[int]) -> list[Part]:
        """Split at quote tokens; an odd number of them is malformed."""
        pieces, quote = self._table.pieces, self._table.control.quote
        runs: list[bytearray] = [bytearray()]
        for token in ids:
            if token == quote:
                runs.append(bytearray())
            elif token not in self._table.special:
                runs[-1] += pieces[token]
        if len(runs) % 2 == 0:
            raise MalformedCallError("a string does not end")
        kinds: tuple[Literal["text"], Literal["string"]] = ("text", "string")
        return [(kinds[i % 2], run.decode("utf-8", errors="replace")) for i, run in enumerate(runs)]

    def _give_up(self, *, closed: bool = False) -> list[Event]:
        """No tool call after all: its text is content, markers included."""
        assert self._call is not None
        control, pieces = self._table.control, self._table.pieces
        ids = [control.call_open, *self._call, *([control.call_close] if closed else [])]
        self._call = None
        return [("bytes", "content", b"".join(pieces[token] for token in ids))]
