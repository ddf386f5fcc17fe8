"""Chunks to an answer, with the checks that every stream passes on every protocol. Pure."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from gemma4_client.errors import StreamOrderError
from gemma4_client.results import Answer, Delta

__all__ = ["Assembly"]


class Assembly:
    """Takes the chunks of one answer in order. ``now`` gives seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._started = now()
        self._first: float | None = None
        self._deltas: list[Delta] = []
        self._ended: float | None = None

    @property
    def finished(self) -> bool:
        return self._ended is not None

    @property
    def deltas(self) -> list[Delta]:
        """Every chunk so far."""
        return self._deltas

    def add(self, delta: Delta) -> Delta:
        """The chunk itself. Raises :class:`StreamOrderError` for one that is not the next."""
        due = len(self._deltas)
        if delta.index != due or self._ended is not None:
            raise StreamOrderError(
                f"chunk {delta.index} arrived where {due} was due"
                if self._ended is None
                else f"chunk {delta.index} arrived after the last"
            )
        self._deltas.append(delta)
        if self._first is None and (delta.text or delta.reasoning or delta.tool_calls):
            self._first = self._now()
        if delta.finish_reason:
            self._ended = self._now()
        return delta

    def close(self) -> None:
        """The stream has ended. Raises :class:`StreamOrderError` when its last chunk is missing."""
        if self._ended is None:
            raise StreamOrderError(
                f"the stream ended after {len(self._deltas)} chunks without its last"
            )

    def answer(self) -> Answer:
        """What came so far."""
        deltas = self._deltas
        if not deltas:
            return Answer()
        last = deltas[-1]
        timings = dict(last.timings or {})
        if self._first is not None:
            timings["ttft"] = self._first - self._started
        if self._ended is not None:
            timings["total"] = self._ended - self._started
        return Answer(
            text="".join([d.text for d in deltas]),
            reasoning="".join([d.reasoning for d in deltas]),
            tool_calls=[call for d in deltas for call in d.tool_calls],
            finish_reason=last.finish_reason,
            prompt_tokens=last.prompt_tokens,
            completion_tokens=last.completion_tokens,
            ids=[token for d in deltas for token in d.ids],
            log_probs=[value for d in deltas for value in d.log_probs],
            cum_log_prob=last.cum_log_prob,
            timings=timings,
        )
