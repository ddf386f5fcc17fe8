"""How one request ended, for the access log."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_runtime.engines.base import EngineFinish
from gemma4_runtime.errors import RequestError
from gemma4_runtime.server.streams.stream import Stream

__all__ = ["RequestRecord", "record_of"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """``code`` is that of the error, "" without one. Times are seconds. ``ttft_s`` and ``total_s``
    begin when the engine's model got the request, ``prepare_s`` after its arrival."""

    request_id: str
    key: str
    status: str
    code: str
    finish_reason: str
    message: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    chunks: int
    streamed: bool
    prepare_s: float
    queue_s: float
    prefill_s: float
    decode_s: float
    ttft_s: float
    total_s: float


def record_of(stream: Stream, error: RequestError | None, now: float) -> RequestRecord:
    """Make the record. ``error`` None: it was answered. ``now``: :func:`time.monotonic`."""
    end, assembler = stream.end, stream.assembler
    timed = end if isinstance(end, EngineFinish) else None
    return RequestRecord(
        request_id=stream.request.request_id,
        key=stream.request.key,
        status="OK" if error is None else error.status.value,
        code="" if error is None else error.code,
        finish_reason="" if error is not None else assembler.finish_reason,
        message="" if error is None else error.message,
        prompt_tokens=len(stream.request.input_ids),
        completion_tokens=assembler.completion_tokens,
        cached_tokens=timed.cached_tokens if timed else 0,
        chunks=assembler.next_index,
        streamed=stream.request.stream,
        prepare_s=max(0.0, stream.opened - (stream.request.arrival or stream.opened)),
        queue_s=timed.queue_s if timed else 0.0,
        prefill_s=timed.prefill_s if timed else 0.0,
        decode_s=timed.decode_s if timed else 0.0,
        ttft_s=0.0 if stream.first_token is None else stream.first_token - stream.opened,
        total_s=now - stream.opened,
    )
