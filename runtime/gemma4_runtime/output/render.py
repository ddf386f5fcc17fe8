"""One chunk -> the values of the output tensors. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from gemma4_runtime.messages import Channel, Chunk, ToolCall, TopLogProbs

__all__ = ["ChunkText", "channel_text", "pack", "pack_many", "render"]


class ChunkText(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values of gemma4's outputs for one response; names as the tensors. ``reasoning_tokens``,
    ``text_tokens``, ``top_log_probs`` and ``stop_reason`` are no tensors: only ``packed`` has them,
    and tensors have the most probable tokens as rows (:mod:`gemma4_runtime.output.tensors`). See
    :class:`~gemma4_runtime.messages.Chunk` and its details."""

    text_output: str = ""
    reasoning_output: str = ""
    tool_calls: str = ""
    finish_reason: str = ""
    chunk_index: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    output_ids: list[int] = []
    output_log_probs: list[float] = []
    cum_log_probs: float = 0.0
    timings: str = ""
    reasoning_tokens: int = 0
    text_tokens: list[tuple[int, int]] = []
    top_log_probs: list[TopLogProbs] | None = None
    stop_reason: int | str | None = None


def render(chunk: Chunk) -> ChunkText:
    """Render a chunk. Segments end on whole characters, so each channel decodes alone; a malformed
    byte run gives one U+FFFD for each maximal invalid part."""
    return ChunkText(
        text_output=channel_text(chunk, "content"),
        reasoning_output=channel_text(chunk, "reasoning"),
        tool_calls=_calls(chunk.tool_calls),
        finish_reason=chunk.finish_reason,
        chunk_index=chunk.index,
        prompt_tokens=chunk.prompt_tokens,
        completion_tokens=chunk.completion_tokens,
        output_ids=chunk.ids,
        output_log_probs=chunk.log_probs,
        cum_log_probs=chunk.cum_log_prob,
        timings="" if chunk.timings is None else json.dumps(chunk.timings),
        reasoning_tokens=chunk.reasoning_tokens,
        text_tokens=chunk.text_tokens,
        top_log_probs=None if chunk.details is None else chunk.details.top_log_probs or None,
        stop_reason=None if chunk.details is None else chunk.details.stop_reason,
    )


_encoder = msgspec.json.Encoder()


def pack(text: ChunkText) -> bytes:
    """Return a JSON object in UTF-8; empty strings, empty lists and integers that are 0 are left
    out."""
    return _encoder.encode(text)


def pack_many(texts: Sequence[tuple[int, ChunkText]]) -> bytes:
    """Return a JSON array of ``[number, object]``, each object as that of :func:`pack`."""
    return _encoder.encode(texts)


def channel_text(chunk: Chunk, channel: Channel) -> str:
    """Return what a chunk has of one channel."""
    data = b"".join(s.data for s in chunk.segments if s.channel == channel)
    return data.decode("utf-8", errors="replace")


def _calls(calls: list[ToolCall]) -> str:
    """Return a JSON array in OpenAI's form; "" for none."""
    if not calls:
        return ""
    return json.dumps(
        [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": call.arguments,
                },
            }
            for call in calls
        ],
        ensure_ascii=False,
    )
