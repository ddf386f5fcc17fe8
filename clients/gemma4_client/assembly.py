"""Chunks to an answer, with the checks that every stream passes on every protocol. Pure."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from gemma4_client.errors import StreamOrderError
from gemma4_client.results import Answer, Delta

__all__ = ["Assembly"]


class Assembly:
    """Takes the chunks of one answer in order. ``now`` gives seconds; ``keep`` keeps the chunks.

    Without it only strings and numbers stay: Python's garbage collector would stop a process with
    hundreds of long answers for 100 ms to look at their chunks (256 streams of 50 tokens/s)."""

    def __init__(self, now: Callable[[], float] = monotonic, *, keep: bool = False) -> None:
        self._now = now
        self._started = now()
        self._first: float | None = None
        self._count = 0
        self._kept: list[Delta] | None = [] if keep else None
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tool_calls: list[dict[str, Any]] = []
        self._ids: list[int] = []
        self._log_probs: list[float] = []
        self._top_log_probs: list[list[tuple[int, float]]] = []
        self._last: Delta | None = None
        self._ended: float | None = None

    @property
    def finished(self) -> bool:
        return self._ended is not None

    @property
    def last(self) -> Delta | None:
        """The last chunk so far."""
        return self._last

    @property
    def deltas(self) -> list[Delta]:
        """Every chunk so far. Raises :class:`RuntimeError` without ``keep``."""
        if self._kept is None:
            raise RuntimeError("this assembly keeps no chunks")
        return self._kept

    def add(self, delta: Delta) -> Delta:
        """Take the next chunk and return it. Raises :class:`StreamOrderError` for one that is not
        the next."""
        due = self._count
        if delta.index != due or self._ended is not None:
            raise StreamOrderError(
                f"chunk {delta.index} arrived where {due} was due"
                if self._ended is None
                else f"chunk {delta.index} arrived after the last"
            )
        self._count += 1
        if self._kept is not None:
            self._kept.append(delta)
        if delta.text:
            self._text.append(delta.text)
        if delta.reasoning:
            self._reasoning.append(delta.reasoning)
        self._tool_calls += delta.tool_calls
        self._ids += delta.ids
        self._log_probs += delta.log_probs
        self._top_log_probs += delta.top_log_probs
        self._last = delta
        if self._first is None and (delta.text or delta.reasoning or delta.tool_calls):
            self._first = self._now()
        if delta.finish_reason:
            self._ended = self._now()
        return delta

    def close(self) -> None:
        """End the answer. Raises :class:`StreamOrderError` when its last chunk is missing."""
        if self._ended is None:
            raise StreamOrderError(f"the stream ended after {self._count} chunks without its last")

    def answer(self) -> Answer:
        """Return what came so far."""
        last = self._last
        if last is None:
            return Answer()
        timings = dict(last.timings or {})
        if self._first is not None:
            timings["ttft"] = self._first - self._started
        if self._ended is not None:
            timings["total"] = self._ended - self._started
        return Answer(
            text="".join(self._text),
            reasoning="".join(self._reasoning),
            tool_calls=[*self._tool_calls],
            finish_reason=last.finish_reason,
            prompt_tokens=last.prompt_tokens,
            completion_tokens=last.completion_tokens,
            ids=[*self._ids],
            log_probs=[*self._log_probs],
            cum_log_prob=last.cum_log_prob,
            timings=timings,
            top_log_probs=[*self._top_log_probs],
            stop_reason=last.stop_reason,
        )
