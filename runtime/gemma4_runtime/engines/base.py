"""The interface that every engine has: token ids in, token ids out.

Text, channels, stop strings, tool calls and Triton are not an engine's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gemma4_runtime.errors import RequestError
from gemma4_runtime.messages import GenerationRequest, TopLogProbs

__all__ = ["LEAST_LOG_PROB", "Engine", "EngineFinish", "EngineInfo", "EngineStats", "TokenSink"]

LEAST_LOG_PROB = -9999.0
"""Natural log that stands for no chance at all, among the most probable tokens: JSON has no
infinity, and OpenAI's API and vLLM write this number."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What was loaded. ``max_total_tokens`` is prompt plus output of one request.
    ``chunk_interval_s`` is the least time (seconds) between two chunks of a stream: tokens of a
    faster engine share a chunk, which nobody sees and which saves most of a chunk's cost.
    ``speculative``: it drafts tokens, and counts them in its stats. ``copies`` of the model share
    the requests."""

    runtime: str
    version: str
    precision: str
    slots: int
    max_queued: int
    max_total_tokens: int
    vocab_size: int
    chunk_interval_s: float = 0.008
    speculative: bool = False
    copies: int = 1


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A snapshot, without requests of the quality gate. Counters only grow. ``kv_blocks`` 0: the
    runtime has a fixed cache for each slot and no blocks. ``drafts``, ``draft_tokens``,
    ``accepted_tokens``: drafts that were checked, their tokens, and those that the model accepted;
    0 where the engine does not draft."""

    active: int
    queued: int
    slots: int
    max_queued: int
    draining: bool
    lost: bool
    submitted: int
    finished: int
    cancelled: int
    failed: int
    prompt_tokens: int
    cached_tokens: int
    generated_tokens: int
    kv_blocks_used: int = 0
    kv_blocks: int = 0
    kv_block_tokens: int = 0
    drafts: int = 0
    draft_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EngineFinish:
    """The end of one request. Times are seconds; ``cached_tokens`` came from the prompt cache."""

    reason: Literal["stop", "length", "cancelled"]
    queue_s: float
    prefill_s: float
    decode_s: float
    cached_tokens: int = 0


class TokenSink(Protocol):
    """Where an engine delivers one request's output.

    Calls for one request come one after another (never at once), from any engine thread. Exactly
    one of ``finished`` and ``failed`` ends it; nothing follows. A sink never blocks and never
    raises.
    """

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        """Take new sampled ids, the stop token included. ``log_probs``: natural logs, same length,
        of the model's distribution before sampling options; None unless asked for. ``top``: its
        most probable tokens in each place, as many as were asked for; None for none."""

    def finished(self, finish: EngineFinish) -> None:
        """Take note that the request ended; its slot is free."""

    def failed(self, error: RequestError) -> None:
        """Take note that the request failed; its slot is free."""


class Engine(Protocol):
    """A loaded model with slots and a bounded queue. Thread-safe."""

    @property
    def info(self) -> EngineInfo: ...

    def submit(self, request: GenerationRequest, sink: TokenSink) -> None:
        """Queue a request. Raises :class:`RequestError`: UNAVAILABLE when the queue is full, the
        engine drains or is lost; INVALID_ARGUMENT for what this engine cannot do.

        A request with ``check`` (of the quality gate) is refused with UNAVAILABLE unless it is
        alone, uses no cached prompt, and takes no room from other requests."""

    def cancel(self, key: str) -> None:
        """Free the slot of request ``key`` as soon as possible; the sink then gets ``finished``
        with reason "cancelled". Unknown keys are ignored (it may just have ended)."""

    def stats(self) -> EngineStats: ...

    def drain(self) -> None:
        """Refuse new requests with UNAVAILABLE; queued and running ones go on."""

    def close(self) -> None:
        """Cancel everything, stop all threads, free the model."""
