"""Writes down what comes of one request, as it comes."""

from __future__ import annotations

from collections.abc import Callable

from gemma4_load.errors import TargetError
from gemma4_load.record import Record
from gemma4_load.workloads.base import Ask, Reply

__all__ = ["Observation"]


class Observation:
    """Begin it when the request is sent. ``now`` gives seconds since the start of the run; ``due``
    is when the plan wanted it, None in a closed loop."""

    def __init__(
        self, number: int, ask: Ask, now: Callable[[], float], *, due: float | None = None
    ) -> None:
        sent = now()
        self._now = now
        self._leave_after = ask.leave_after
        self.tokens = 0
        self.record = Record(number, ask.workload, sent if due is None else due, sent)

    def seen(self, tokens: int) -> bool:
        """Count a chunk that shows something, for :data:`gemma4_load.targets.base.Seen`."""
        record = self.record
        record.arrivals.append(self._now())
        record.tokens.append(tokens)
        self.tokens += tokens or 1
        record.left = self._leave_after is not None and self.tokens >= self._leave_after
        return not record.left

    def answered(self, reply: Reply) -> None:
        """Record an answer to its end, or to where this client left."""
        record = self.record
        record.end = self._now()
        record.left = record.left and not reply.finish_reason
        record.prompt_tokens = reply.prompt_tokens
        record.output_tokens = reply.output_tokens
        record.finish_reason = reply.finish_reason
        for name in ("queue", "prefill", "decode"):
            setattr(record, name, reply.timings.get(name))
        record.spread_tokens()
        if record.left:
            record.output_tokens = round(sum(record.tokens))

    def failed(self, error: TargetError) -> None:
        record = self.record
        record.end = self._now()
        record.status, record.code, record.left = error.status, error.code, False
        record.error = str(error)
        record.spread_tokens()
