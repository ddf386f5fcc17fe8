"""From sampled ids to the chunks of a client and the log-probs of the gateway."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from gemma4_client.wire import _ABSENT, Delta, delta_of
from gemma4_gateway.answers.logprobs import TokenLogProb, TokenLogProbs
from gemma4_runtime.messages import GenerationRequest, SamplingParams, decode_chunk, encode
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.output.vocab import TokenTable

__all__ = ["STOPS", "deltas_of", "shown"]

STOPS = (1, 106, 50)


def deltas_of(
    table: TokenTable,
    ids: list[int],
    *,
    cuts: list[int] | range | tuple[Any, ...] = (),
    reason: str = "length",
    stop: list[str] | tuple[Any, ...] = (),
    **options: Any,
) -> list[Delta]:
    """Chunks as a client gets them. The log-prob of the token with number n is -n."""
    sampling = SamplingParams(100, stop_token_ids=STOPS, stop=tuple(stop), log_probs=True)
    request = GenerationRequest("k", [2], sampling, **options)
    assembler = StreamAssembler(request, table, prompt_tokens=1)
    chunks = []
    for start, end in pairwise([0, *sorted(cuts), len(ids)]):
        assembler.push(ids[start:end], [-float(n) for n in range(start, end)])
        if assembler.pending() and not assembler.done:
            chunks.append(assembler.take())
    assembler.finish(reason)
    chunks.append(assembler.take())
    packed = [pack(render(decode_chunk(encode(chunk)))) for chunk in chunks]
    return [delta_of(_ABSENT | json.loads(data)) for data in packed]


def shown(table: TokenTable, deltas: list[Delta]) -> list[TokenLogProb]:
    """Log-probs as the gateway makes them of these chunks."""
    tracker = TokenLogProbs()
    pieces = table.pieces
    return [
        token
        for delta in deltas
        for token in tracker.add([pieces[i] if i < len(pieces) else b"" for i in delta.ids], delta)
    ]
