"""The two messages that pass between the steps of the ensemble, and errors between our processes.

preprocessing -> engine: :class:`GenerationRequest`; engine -> postprocessing: :class:`Chunk`.
Both travel as one UINT8 tensor, msgpack-encoded: the cost of a Triton response grows with the
number of its tensors, not with its bytes.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from gemma4_runtime.errors import Detail, RequestError, Status
from gemma4_runtime.trace_context import TraceContext

__all__ = [
    "FEED_PARAMETER",
    "KEY_PARAMETER",
    "Channel",
    "Chunk",
    "ChunkDetails",
    "FinishReason",
    "GenerationRequest",
    "GuidedDecoding",
    "Prelude",
    "SamplingParams",
    "Segment",
    "SentError",
    "ToolCall",
    "TopLogProbs",
    "decode_chunk",
    "decode_request",
    "encode",
]

KEY_PARAMETER = "gemma4_key"
"""Request parameter by which gemma4_unary names the key that it will cancel by; no client can:
see :mod:`gemma4_runtime.server.request_key`."""

FEED_PARAMETER = "gemma4_feed"
"""Request parameter by which a client of the engine step says where it wants the chunks: KEY/NUMBER
of a feed (:mod:`gemma4_runtime.server.streams.feed`)."""

Channel = Literal["content", "reasoning"]
FinishReason = Literal["stop", "length", "tool_calls"]
TopLogProbs = list[tuple[int, float]]
"""The most probable tokens in one place of an answer, the best first: id and natural log."""
GuideKind = Literal["json", "json_schema", "regex", "grammar"]


class SentError(msgspec.Struct, frozen=True, array_like=True):
    """A :class:`~gemma4_runtime.errors.RequestError` on its way to another process of ours."""

    status: Status
    code: str
    message: str
    field: str | None = None
    details: dict[str, Detail] = {}

    @classmethod
    def of(cls, error: RequestError) -> SentError:
        return cls(error.status, error.code, error.message, error.field, error.details)

    def error(self) -> RequestError:
        return RequestError(
            self.code, self.message, status=self.status, field=self.field, details=self.details
        )


class GuidedDecoding(msgspec.Struct, frozen=True, array_like=True):
    """Constrained output. ``guide`` is the schema (JSON text), regex or grammar; "" for json.
    ``asked`` is a schema with its patterns as in ECMA-262, by which the answer is checked."""

    kind: GuideKind
    guide: str = ""
    asked: str = ""


class Prelude(msgspec.Struct, frozen=True, array_like=True):
    """What a guide leaves free: a thought before the guided text ("may"; "open" when the prompt
    ends inside one), and calls of ``tools``, by their names, instead of it."""

    thought: Literal["none", "may", "open"] = "none"
    tools: tuple[str, ...] = ()


class SamplingParams(msgspec.Struct, frozen=True, array_like=True):
    """How to sample, validated and with the checkpoint's defaults filled in.

    ``temperature`` 0 and ``top_p`` 0 are greedy; ``top_k`` 0 and ``top_p`` 1 are off; ``seed`` None
    is random. ``stop_token_ids`` holds every EOS id of the checkpoint and those that the caller
    named, which ``named_stop_ids`` has again. ``include_stop``: what ended the answer stays in its
    text.
    ``bad_token_ids`` are banned one by one; ``bad_sequences`` as whole sequences. ``prelude`` says
    what ``guided`` does not bind; None: it binds every token of the answer. ``log_probs`` asks for
    each token's, ``top_log_probs`` for those of so many most probable tokens in its place.
    ``logit_bias``: token ids and what is added to their logits.
    """

    max_tokens: int
    min_tokens: int = 0
    # sampling options: made of gemma4_runtime/contract by `make generate`; do not edit
    temperature: float = 1.0
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    # end of sampling options
    stop_token_ids: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    bad_token_ids: tuple[int, ...] = ()
    bad_sequences: tuple[tuple[int, ...], ...] = ()
    log_probs: bool = False
    guided: GuidedDecoding | None = None
    prelude: Prelude | None = None
    top_log_probs: int = 0
    named_stop_ids: tuple[int, ...] = ()
    include_stop: bool = False
    logit_bias: tuple[tuple[int, float], ...] = ()


class GenerationRequest(msgspec.Struct, frozen=True, array_like=True):
    """One accepted request, as the engine gets it.

    ``key`` is unique in this server and is what a cancel names; ``request_id`` is the client's.
    ``deadline`` and ``arrival`` are seconds of :func:`time.monotonic`, on Linux the machine's own
    clock: the same in all of its processes, and nobody can step it. ``channel`` is where the first
    token belongs ("reasoning" when the prompt ends inside an open thought). ``parse_tools`` is true
    for chat requests: tool calls are parsed and held until whole; otherwise their literal text is
    content. ``one_call``: the answer ends after its first tool call.
    ``check`` is not 0 for a request of the server's own quality gate: the number of the copy of the
    model that it is for, from 1.
    ``echo`` is text to put before the first content (``exclude_input_in_output`` = false).
    ``place``: see :class:`Chunk`. ``trace``: the trace that the client's span belongs to.
    """

    key: str
    input_ids: list[int]
    sampling: SamplingParams
    request_id: str = ""
    stream: bool = True
    channel: Channel = "content"
    parse_tools: bool = False
    echo: str = ""
    deadline: float | None = None
    arrival: float = 0.0
    one_call: bool = False
    check: int = 0
    place: tuple[int, int] = (0, 0)
    trace: TraceContext | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """One whole tool call. ``arguments`` is the text of a JSON object."""

    id: str
    name: str
    arguments: str


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of one channel. They end on a character boundary: a valid but unfinished UTF-8
    sequence stays in the assembler, so decoding a segment needs no neighbor."""

    channel: Channel
    data: bytes


class ChunkDetails(msgspec.Struct, frozen=True, array_like=True):
    """``top_log_probs`` has one entry per id where they were asked for, or is empty.
    ``stop_reason`` (last chunk only): the stop string, or the token id of those that the caller
    named, that ended the answer; None when something else did, an EOS of the checkpoint too.
    ``error``: what the request failed with, as on the wire. Such a chunk is the last and has
    nothing for the client beside it.
    """

    top_log_probs: list[TopLogProbs] = []
    stop_reason: int | str | None = None
    error: str = ""


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """One self-contained piece of an answer: whoever renders it needs no other.

    ``index`` counts from 0 without gaps. ``ids`` are the token ids that this chunk consumed, in
    order, stop token included. ``log_probs`` has one natural-log probability per id, or is empty.
    ``cum_log_prob`` is the sum so far. ``finish_reason`` is "" until the last chunk.
    ``timings`` (last chunk only): seconds ``queue``, ``prefill``, ``decode``.
    ``probe``: nothing for the client; only lets postprocessing see a cancel.
    ``check``: postprocessing shall ask whether the request was cancelled (about 50 us).
    ``reasoning_tokens``: those of thoughts so far, with the control tokens around them.
    ``text_tokens`` (with log-probs): which tokens this chunk's content ends, as (number in the
    answer from 0, bytes of it that are content). Over an answer they make up the whole content. A
    token that a call or a thought divides comes twice, with its first bytes and with the rest.
    ``details``: what few chunks have; None saves the others its cost.
    ``place``: of a call that has several prompts or answers, the number of the prompt and of the
    answer to it, from 0.
    """

    key: str
    index: int
    ids: list[int] = []
    segments: list[Segment] = []
    tool_calls: list[ToolCall] = []
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    log_probs: list[float] = []
    cum_log_prob: float = 0.0
    timings: dict[str, float] | None = None
    probe: bool = False
    check: bool = False
    reasoning_tokens: int = 0
    text_tokens: list[tuple[int, int]] = []
    details: ChunkDetails | None = None
    place: tuple[int, int] = (0, 0)


_encoder = msgspec.msgpack.Encoder()
_chunk_decoder = msgspec.msgpack.Decoder(Chunk)
_request_decoder = msgspec.msgpack.Decoder(GenerationRequest)


def encode(message: Chunk | GenerationRequest) -> bytes:
    """Encode a message as msgpack bytes."""
    return _encoder.encode(message)


def decode_chunk(data: bytes | memoryview) -> Chunk:
    """Decode bytes to a :class:`Chunk`. Raises :class:`msgspec.DecodeError` on anything else."""
    return _chunk_decoder.decode(data)


def decode_request(data: bytes | memoryview) -> GenerationRequest:
    """Decode bytes to a :class:`GenerationRequest`. Raises :class:`msgspec.DecodeError`."""
    return _request_decoder.decode(data)
