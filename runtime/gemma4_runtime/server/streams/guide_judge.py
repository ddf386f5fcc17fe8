"""The last look at an answer that has a guide: does it keep to it?

The preparation process looks, which has bounds of time and memory and can be killed; meanwhile the
emitter serves other streams. An answer that could not be looked at is delivered: the engine has
enforced its guide, and this is the second look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.preparation.client import PreparationClient, Result
from gemma4_runtime.server.streams.stream import Stream

__all__ = ["GuideJudge", "Judge"]

_TIMEOUT_MS = 2000
"""Milliseconds to look at an answer; then it is delivered without the look."""


class Judge(Protocol):
    """Asked by the emitter's thread, about a stream whose answer has ended."""

    def ask(self, stream: Stream, done: Callable[[RequestError | None], None]) -> bool:
        """Begin to look. ``done`` is called once, in another thread, with what the client is to be
        told instead of the last chunk. False when there is nothing to look at."""


class GuideJudge:
    """Asks the preparation process."""

    def __init__(self, client: PreparationClient) -> None:
        self._client = client

    def ask(self, stream: Stream, done: Callable[[RequestError | None], None]) -> bool:
        guided = stream.request.sampling.guided
        answer = stream.assembler.guided_answer()
        if guided is None or answer is None:
            return False

        def judged(result: Result) -> None:
            if isinstance(result, RequestError):
                _skipped(stream, result)
                done(None)
            elif result:
                log_event("guide_not_kept", level="error", key=stream.request.key)
                done(
                    RequestError(
                        Code.GUIDE_NOT_KEPT,
                        f"the answer does not keep to its guide: {result.decode()}",
                    )
                )
            else:
                done(None)

        values = {
            "guided_decoding_guide_type": guided.kind,
            "guided_decoding_guide": guided.guide,
            "asked": guided.asked,
            "text": answer,
            "complete": stream.assembler.complete,
            "timeout_ms": _TIMEOUT_MS,
        }
        try:
            self._client.ask(
                values,
                kind="verdict",
                done=judged,
                gone=lambda: stream.closed,
                now=time.monotonic(),
            )
        except RequestError as error:
            _skipped(stream, error)
            return False
        return True


def _skipped(stream: Stream, error: RequestError) -> None:
    if not stream.closed:
        log_event("guide_not_checked", level="warning", key=stream.request.key, cause=error.message)
