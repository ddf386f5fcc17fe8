"""Answers that are cut into chunks and put together again."""

from __future__ import annotations

from typing import Any, Literal

from gemma4_runtime.messages import Chunk, GenerationRequest, SamplingParams, decode_chunk, encode
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import render
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["joined", "make_request", "run"]


def make_request(**kwargs: Any) -> GenerationRequest:
    named = tuple(kwargs.pop("stop_token_ids", ()))
    sampling = SamplingParams(
        max_tokens=1000,
        stop_token_ids=(1, 106, 50, *named),
        stop=tuple(kwargs.pop("stop", ())),
        named_stop_ids=named,
        include_stop=kwargs.pop("include_stop", False),
    )
    return GenerationRequest(key="k", input_ids=[2], sampling=sampling, **kwargs)


def run(
    request: GenerationRequest,
    table: TokenTable,
    ids: list[int],
    cuts: list[int] | range,
    reason: Literal["stop", "length", "tool_calls"] = "length",
) -> list[Chunk]:
    """Feed ``ids`` in pieces that end at ``cuts``; take a chunk whenever one is ready."""
    assembler = StreamAssembler(request, table, prompt_tokens=1)
    chunks, at = [], 0
    for cut in [*sorted(cuts), len(ids)]:
        assembler.push(ids[at:cut])
        at = max(at, cut)
        if assembler.pending() and not assembler.done:
            chunks.append(assembler.take())
    assembler.finish(reason)
    chunks.append(assembler.take())
    return [decode_chunk(encode(chunk)) for chunk in chunks]


def joined(chunks: list[Chunk]) -> tuple[str, str, str, list[int]]:
    texts = [render(chunk) for chunk in chunks]
    assert [t.chunk_index for t in texts] == list(range(len(texts)))
    assert [bool(t.finish_reason) for t in texts] == [False] * (len(texts) - 1) + [True]
    return (
        "".join(t.text_output for t in texts),
        "".join(t.reasoning_output for t in texts),
        "".join(t.tool_calls for t in texts),
        [i for t in texts for i in t.output_ids],
    )
