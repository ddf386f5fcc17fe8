"""Chunks of an answer as Dynamo's frontend reads them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gemma4_client import Delta

__all__ = ["CANCELLED", "chunk_of", "nothing_left"]

_FINISH = {"stop": "stop", "length": "length", "tool_calls": "stop"}
"""Dynamo's frontend finds tool calls itself, and says so itself."""

CANCELLED: dict[str, Any] = {"token_ids": [], "index": 0, "finish_reason": "cancelled"}
"""The last chunk of an answer that nobody waits for."""


def chunk_of(delta: Delta, texts: Mapping[int, bytes]) -> dict[str, Any]:
    """Return the chunk. ``texts`` has the bytes of each token of ``delta.top_log_probs``."""
    chunk: dict[str, Any] = {"token_ids": delta.ids, "index": 0}
    if delta.log_probs:
        chunk["log_probs"] = delta.log_probs
        chunk["cum_log_probs"] = delta.cum_log_prob
    if delta.top_log_probs:
        chunk["top_logprobs"] = [
            [_candidate(rank, token, value, texts) for rank, (token, value) in enumerate(place, 1)]
            for place in delta.top_log_probs
        ]
    if delta.finish_reason:
        chunk["finish_reason"] = _FINISH[delta.finish_reason]
        chunk["completion_usage"] = _usage(delta)
        if delta.stop_reason is not None:
            chunk["stop_reason"] = delta.stop_reason
    return chunk


def _candidate(
    rank: int, token: int, log_prob: float, texts: Mapping[int, bytes]
) -> dict[str, Any]:
    data = texts[token]
    return {
        "rank": rank,
        "token_id": token,
        "token": data.decode(errors="replace"),
        "logprob": log_prob,
        "bytes": list(data),
    }


def nothing_left(prompt_tokens: int) -> dict[str, Any]:
    """Return the only chunk of an answer that may have no token."""
    usage = _tokens(prompt_tokens, 0)
    return {"token_ids": [], "index": 0, "finish_reason": "length", "completion_usage": usage}


def _tokens(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _usage(delta: Delta) -> dict[str, Any]:
    usage = _tokens(delta.prompt_tokens, delta.completion_tokens)
    cached = (delta.timings or {}).get("cached_tokens")
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": int(cached)}
    return usage
