"""What was seen of one request."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["OK", "SHORTEST_S", "Record", "Window"]

OK = "OK"
SHORTEST_S = 0.1
"""Seconds below which a window has no rates: an event more or less would decide them."""


@dataclass(slots=True)
class Record:
    """Times are seconds since the start of the run, on one monotonic clock.

    ``scheduled`` is when the request was due: the plan of an open loop or of a trace; in a closed
    loop it equals ``sent``. ``arrivals`` are those of the chunks that showed something (text,
    reasoning or a tool call), ``tokens`` what each brought, counted by the server (a token that
    shows nothing yet counts with the next chunk). ``end`` is the arrival of the last response, or
    of the error. ``status`` is OK or gRPC's name of a status; ``code`` is the server's
    own name of the error. ``left`` means that this client left
    on purpose. ``queue``, ``prefill`` and ``decode`` are the server's
    own seconds, None where it does not tell."""

    index: int
    workload: str
    scheduled: float
    sent: float
    end: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    status: str = OK
    code: str = ""
    error: str = ""
    finish_reason: str = ""
    queue: float | None = None
    prefill: float | None = None
    decode: float | None = None
    left: bool = False

    @property
    def whole(self) -> bool:
        """An answer that came to its end; only these have latencies."""
        return self.status == OK and not self.left

    @property
    def failed(self) -> bool:
        return self.status != OK

    def spread_tokens(self) -> None:
        """Give every chunk an equal share of the tokens of a server that says only at the end how
        many there were. One that never said (a stream that was left) had at least a token in
        each."""
        if self.arrivals and not any(self.tokens):
            each = self.output_tokens / len(self.arrivals) if self.output_tokens else 1.0
            self.tokens = [each] * len(self.arrivals)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a run that is measured, in seconds since its start: after the warm-up, before
    the load thins out."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    def holds(self, time: float) -> bool:
        return self.begin <= time <= self.end

    def started(self, records: list[Record]) -> list[Record]:
        """Return the requests that were due in the window; latencies are theirs, whenever they
        ended."""
        return [record for record in records if self.holds(record.scheduled)]

    def rate(self, count: float) -> float | None:
        """Return ``count`` a second; None in a window that is shorter than :data:`SHORTEST_S`."""
        return count / self.seconds if self.seconds >= SHORTEST_S else None

    def tokens(self, records: list[Record]) -> float:
        """Return the output tokens that arrived in the window, of every request."""
        return sum(
            count
            for record in records
            for time, count in zip(record.arrivals, record.tokens, strict=True)
            if self.holds(time)
        )
