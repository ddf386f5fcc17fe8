"""Channels of an answer, told apart by token ids: content, reasoning, tool calls.

``<|channel>`` opens a thought and ``<channel|>`` closes it; the label ``thought`` and the white
space after it are no part of the thought, nor is one newline before its end (the chat template
writes ``thought\\n...\\n<channel|>``). A tool call is collected whole; one that cannot be read is
content without its control tokens, and one that the token limit cut off is nothing.
"""

from __future__ import annotations

from typing import Literal

from gemma4_runtime.messages import Channel
from gemma4_runtime.output.tool_calls import CallBody, MalformedCallError
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["ChannelSplitter", "Event"]

Event = tuple[Literal["bytes"], Channel, bytes, int] | tuple[Literal["call"], str, str]
"""Bytes of a channel have the number of their token, counted from 0."""

_LABEL = b"thought"
_SPACES = b" \t\r\n"
_LARGEST_CALL = 128 << 10
"""Bytes after which a tool call that does not end is given up and delivered as text."""


class ChannelSplitter:
    """Feed token ids, get bytes of a channel or whole tool calls. Never raises on any ids."""

    def __init__(self, table: TokenTable, *, channel: Channel, parse_tools: bool) -> None:
        self._table = table
        self._parse_tools = parse_tools
        self._reasoning = channel == "reasoning"
        self._label: bytes | None = None  # what may be the label, while it is undecided
        self._newline = False  # a newline of the thought, held: it may be the last
        self._call: CallBody | None = None
        self._number = -1  # of the newest token
        self.reasoning_tokens = 0
        """Tokens of thoughts so far, with the control tokens that open and close them."""

    def push(self, token: int) -> list[Event]:
        """Return the events that ``token`` completes, in order. Ids beyond the vocabulary are no
        text."""
        self._number += 1
        thinking = self._reasoning
        events = self._outside(token) if self._call is None else self._in_call(token)
        if self._call is None and (thinking or self._reasoning):
            self.reasoning_tokens += 1
        return events

    def _outside(self, token: int) -> list[Event]:
        control = self._table.control
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
            self._call = CallBody()
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

    def finish(self, *, cut: bool) -> list[Event]:
        """Return what was held. ``cut``: by the token limit, so the start of a call is no text."""
        if self._call is not None:
            events = self._end_call(closed=False)
            return [event for event in events if event[0] == "call" or not cut]
        events = self._end_label()
        if self._newline:
            events.append(("bytes", "reasoning", b"\n", self._number))
            self._newline = False
        return events

    def _text(self, data: bytes) -> list[Event]:
        if not self._reasoning:
            return [("bytes", "content", data, self._number)] if data else []
        if self._label is not None:
            return self._try_label(data)
        return self._thought(data)

    def _thought(self, data: bytes) -> list[Event]:
        if self._newline:
            data = b"\n" + data
        self._newline = data.endswith(b"\n")
        if self._newline:
            data = data[:-1]
        return [("bytes", "reasoning", data, self._number)] if data else []

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
        """Close a label that can grow no more: drop it if it is one, deliver it if it is text."""
        held, self._label = self._label, None
        if not held or held.strip(_SPACES) == _LABEL or not held.strip(_SPACES):
            return []
        return self._thought(held)

    def _in_call(self, token: int) -> list[Event]:
        assert self._call is not None
        control = self._table.control
        if token == control.call_close:
            return self._end_call(closed=True)
        if token in (control.call_open, control.think_open):  # the call was never closed
            return self._end_call(closed=False) + self._outside(token)
        if token == control.quote:
            self._call.add(None, self._number)
        elif token < len(self._table.pieces) and token not in self._table.special:
            self._call.add(self._table.pieces[token], self._number)
        return self._give_up() if self._call.size > _LARGEST_CALL else []

    def _end_call(self, *, closed: bool) -> list[Event]:
        assert self._call is not None
        try:
            name, arguments = self._call.read(closed=closed)
        except MalformedCallError:
            return self._give_up()
        self._call = None
        return [("call", name, arguments)]

    def _give_up(self) -> list[Event]:
        """Give up: it is no tool call after all."""
        assert self._call is not None
        shown, self._call = self._call.shown(), None
        return [("bytes", "content", data, number) for data, number in shown if data]
