"""Streams whose time is over or whose client has left are found here, and ended.

About a direct client the server is asked; through postprocessing goes a probe, by which that
notices a cancel.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from operator import itemgetter

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.messages import Chunk
from gemma4_runtime.server.streams.delivery import Delivery
from gemma4_runtime.server.streams.stream import Stream

__all__ = ["CHECK_S", "StreamChecks", "asks_soon", "client_cancelled", "expiry", "to_check"]

CHECK_S = 0.2
"""How often a stream is asked whether its client is still there (seconds). A cancel may take
0.5 s (docs/guarantees.md). One check costs about 50 us; behind postprocessing it costs a chunk of
its own, 1 ms. So there a chunk that goes out anyway asks from half that time on, a stream whose
chunks flow gets no other question, and one that has something to say says it with the question."""
_MANY_CHECK_S = 0.3
"""The same while more than a few streams are open: the checks add up."""
_FIRST_CHECK_S = 0.1
"""The same before the first token, while few wait for one: a prefill ends its batch first (8
tokens of a 26B model on two cores: 0.3 to 0.45 s), which must fit into the 0.5 s too."""
_FEW = 8
"""Streams, or streams that wait for a first token, up to which the shorter times hold."""
_HASTE = 1.5
"""Times the even share that may be asked in one turn."""
_EARLY = 0.5
"""Of the time between two questions."""


class StreamChecks:
    """Of one emitter's thread. ``speak`` sends what a stream has to say, if it has anything, in a
    chunk that asks, whoever waits before postprocessing."""

    def __init__(self, delivery: Delivery, speak: Callable[[Stream, float], None]) -> None:
        self._delivery = delivery
        self._speak = speak
        self.last = time.monotonic()
        """When :meth:`look` was called last (:func:`time.monotonic`)."""

    def look(self, streams: Sequence[Stream], now: float) -> None:
        """End the streams whose time is over, and ask for the clients whose turn it is."""
        for stream in streams:
            error = expiry(stream, now)
            if error is not None:
                self._delivery.stop(stream, error)
        elapsed, self.last = now - self.last, now
        asked = [s for s in streams if not s.closed and not asks_soon(s, now)]
        oldest, due = to_check(asked, now, elapsed=elapsed)
        for stream in oldest:
            if not due:
                break
            due -= self._ask(stream, now)

    def _ask(self, stream: Stream, now: float) -> bool:
        """Say whether the client is there, as far as is known now: of one behind postprocessing
        that is told later, on the control socket."""
        if not stream.transport.direct:
            self._speak(stream, now)
            if stream.closed or stream.last_check == now:
                return True
            stream.last_check = now
            probe = Chunk(key=stream.request.key, index=-1, probe=True, check=True)
            self._delivery.send_alone(stream, probe)
            return True
        stream.last_check = now
        try:
            if not stream.transport.client_gone():
                return True
        except Exception as error:  # noqa: BLE001 - one broken stream must not end the others
            self._delivery.lose(stream, f"asking the server for the client failed: {error}")
            return False
        self._delivery.stop(stream, client_cancelled())
        return False


def client_cancelled() -> RequestError:
    """Return the error of a stream whose client has left."""
    return RequestError(Code.CLIENT_CANCELLED, "the client cancelled")


def asks_soon(stream: Stream, now: float) -> bool:
    """Return whether chunks of ``stream`` flow, so that the next one asks. ``now``:
    :func:`time.monotonic`."""
    flows = now - stream.last_sent < CHECK_S * _EARLY
    return flows and not stream.transport.direct and now - stream.last_check < CHECK_S


def to_check(streams: Sequence[Stream], now: float, *, elapsed: float) -> tuple[list[Stream], int]:
    """Return all open ``streams``, those first whose client was not asked for longest, and for how
    many to ask now. A client that has left does not count: its other streams have left too, more
    often than not. ``now``: :func:`time.monotonic`; ``elapsed``: seconds since the last call.

    Streams that began together are not asked together: 256 questions in a row would hold every
    stream up for 36 ms. So some are asked early, never many more than with all spread evenly."""
    usual = CHECK_S if len(streams) <= _FEW else _MANY_CHECK_S
    waiting = sum(stream.first_token is None for stream in streams)
    at_first = _FIRST_CHECK_S if waiting <= _FEW else usual
    ages = [
        ((now - stream.last_check) / (at_first if stream.first_token is None else usual), stream)
        for stream in streams
    ]
    ages.sort(key=itemgetter(0), reverse=True)
    share = elapsed * (waiting / at_first + (len(streams) - waiting) / usual)
    even, most = int(share), math.ceil(share * _HASTE)
    due = sum(
        age >= (_EARLY if place < even else 1.0) for place, (age, _) in enumerate(ages[:most])
    )
    return [stream for _, stream in ages], due


def expiry(stream: Stream, now: float) -> RequestError | None:
    """Return DEADLINE_EXCEEDED when the stream's time is over. ``now``: :func:`time.monotonic`."""
    request = stream.request
    if request.deadline is None or now < request.deadline:
        return None
    return RequestError(
        Code.DEADLINE_EXCEEDED,
        f"timeout_ms: the answer was not complete after {(now - request.arrival) * 1000:.0f} ms; "
        "ask for fewer tokens or allow more time",
    )
