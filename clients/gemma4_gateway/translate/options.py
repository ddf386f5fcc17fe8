"""Sampling parameters -> tensors."""

from __future__ import annotations

from typing import Any

from gemma4_gateway.errors import invalid
from gemma4_gateway.jsons import dumps
from gemma4_gateway.schemas.base import Sampling
from gemma4_gateway.schemas.declared import PASSED_ON

__all__ = [
    "sampling_names",
    "sampling_options",
    "seeded",
    "wants_continuous_usage",
    "wants_usage",
]


def sampling_options(body: Sampling, *, max_tokens: int | None) -> dict[str, Any]:
    """Return the options without the seed. Nothing that was left out is set."""
    options: dict[str, Any] = {
        name: value for name in PASSED_ON if (value := getattr(body, name)) is not None
    }
    if body.bad_words:
        options["bad_words"] = body.bad_words
    if body.logit_bias:
        options["logit_bias"] = dumps(body.logit_bias).decode()
    if body.stop_token_ids:
        options["stop_token_ids"] = body.stop_token_ids
    if body.top_k is not None:
        options["top_k"] = max(body.top_k, 0)
    if max_tokens is not None:
        options["max_tokens"] = max_tokens
    if body.stop:
        options["stop_words"] = [body.stop] if isinstance(body.stop, str) else body.stop
    if body.ignore_eos:
        if max_tokens is None:
            raise invalid("ignore_eos", "needs max_tokens")
        options["min_tokens"] = max_tokens
    if body.stream_options is not None and not body.stream:
        raise invalid("stream_options", "needs stream: true")
    return options


def wants_usage(body: Sampling) -> bool:
    """Return whether a last event shall have the usage."""
    return bool(body.stream_options and body.stream_options.include_usage)


def wants_continuous_usage(body: Sampling) -> bool:
    """Return whether every event shall have it: only where the last one has it too, as in vLLM."""
    options = body.stream_options
    return bool(options and options.include_usage and options.continuous_usage_stats)


def sampling_names(body: Sampling) -> dict[str, str]:
    """Say which parameter of ``body`` each tensor comes from, where the names differ."""
    return {"min_tokens": "ignore_eos"} if body.ignore_eos else {}


def seeded(options: dict[str, Any], seed: int | None, choice: int) -> dict[str, Any]:
    """Return the options for one of several choices: seed + i, modulo 2^64 since the engine's is
    unsigned."""
    if seed is None:
        return options
    return options | {"random_seed": (seed + choice) % 2**64}
