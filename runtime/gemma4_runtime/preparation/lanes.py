"""Which request is prepared at once, which in a child process, and in what order. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

__all__ = ["Lane", "Lanes", "lane_of"]

_TEXTS = ("text_input", "text", "messages", "tools")
_KIB = 1024


class Lane(IntEnum):
    """``AT_ONCE``: under about 5 ms of work on one core of 2026, done in the process itself.
    ``SHORT``: under about 0.1 s. ``LONG``: the rest. The last two have child processes of their
    own, so that a request waits only for others of its kind."""

    AT_ONCE = 0
    SHORT = 1
    LONG = 2


@dataclass(frozen=True, slots=True)
class _Bound:
    """``text_bytes`` of all texts, where a token id counts as one; ``marks``: of ``{``, ``[`` and
    ``,`` in JSON, more of which than values there cannot be; ``objects``: of ``{`` in ``messages``;
    ``words`` to stop at or ban."""

    text_bytes: int
    marks: int
    objects: int
    words: int
    guide_bytes: int


_REFS = ("$ref", r"\u0024", r"\u0072", r"\u0065", r"\u0066")

_AT_ONCE = _Bound(text_bytes=16 * _KIB, marks=2048, objects=64, words=32, guide_bytes=4 * _KIB)
_SHORT = _Bound(text_bytes=96 * _KIB, marks=8192, objects=256, words=256, guide_bytes=16 * _KIB)


def lane_of(values: Mapping[str, Any], *, guide_known: bool, most_messages: int) -> Lane:
    """Choose a lane by sizes alone, about 10 us for 16 KiB. ``guide_known``: the guide was compiled
    before. ``most_messages``: what the chat template renders in a few milliseconds."""
    guide = values.get("guided_decoding_guide", "")
    guided = values.get("guided_decoding_guide_type", "json") != "json"
    if _within(values, guide, _AT_ONCE) and (guide_known or not guided):
        return Lane.AT_ONCE if _objects(values) <= most_messages else Lane.SHORT
    return Lane.SHORT if _within(values, guide, _SHORT) else Lane.LONG


def _within(values: Mapping[str, Any], guide: str, bound: _Bound) -> bool:
    texts = [values[name] for name in _TEXTS if name in values]
    size = sum(map(len, texts)) + len(values.get("prompt_token_ids", ()))
    if size > bound.text_bytes or len(guide) > bound.guide_bytes:
        return False
    words = len(values.get("bad_words", ())) + len(values.get("stop_words", ()))
    if words > bound.words or _objects(values) > bound.objects:
        return False
    tools: str = values.get("tools", "")
    marks = _marks(values.get("messages", "")) + (_marks(tools) << min(_refs(tools) // 2, 16))
    return marks <= bound.marks


def _marks(tree: str) -> int:
    return sum(tree.count(mark) for mark in "{[,")


def _refs(tools: str) -> int:
    """Count the references in schemas, however spelled: two may double what is written out."""
    return sum(map(tools.count, _REFS))


def _objects(values: Mapping[str, Any]) -> int:
    count: int = values.get("messages", "").count("{")
    return count


class Lanes:
    """Numbers of requests that wait for a child process, first come first served in each lane."""

    def __init__(self, *, places: Mapping[Lane, int], most_waiting: int) -> None:
        """``places``: how many of a lane run at the same time."""
        self._places = dict(places)
        self._most_waiting = most_waiting
        self._waiting: dict[Lane, OrderedDict[int, None]] = {lane: OrderedDict() for lane in places}
        self._running: dict[Lane, set[int]] = {lane: set() for lane in places}

    def add(self, number: int, lane: Lane) -> bool:
        """Let a request wait; return False when too many of its lane wait already."""
        if len(self._waiting[lane]) >= self._most_waiting:
            return False
        self._waiting[lane][number] = None
        return True

    def start(self) -> list[int]:
        """Start those whose turn it is; they run until :meth:`remove`. A short one may use the
        place of a long one that nobody wants, but not the other way round."""
        started = []
        for lane, waiting in self._waiting.items():
            while waiting and (place := self._free(lane)) is not None:
                number, _ = waiting.popitem(last=False)
                self._running[place].add(number)
                started.append(number)
        return started

    def _free(self, lane: Lane) -> Lane | None:
        for place in (lane, *(other for other in self._places if other > lane)):
            if place != lane and self._waiting[place]:
                continue
            if len(self._running[place]) < self._places[place]:
                return place
        return None

    def remove(self, number: int) -> None:
        """Remove a request that has ended, or that nobody waits for any more."""
        for waiting in self._waiting.values():
            waiting.pop(number, None)
        for running in self._running.values():
            running.discard(number)

    def waiting(self, lane: Lane) -> int:
        return len(self._waiting[lane])

    @property
    def places(self) -> Mapping[Lane, int]:
        return self._places
