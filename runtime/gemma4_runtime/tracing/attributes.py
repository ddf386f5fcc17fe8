"""Names of OpenTelemetry's semantic conventions that our spans use, and values of GenAI's.

As text: the package of the conventions calls those of GenAI unstable, and moves them. A test
compares (tests/runtime/tracing/test_attributes.py).
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PROVIDER", "REQUEST", "operation_of", "option_attributes", "span_name"]

PROVIDER = "triton"
"""``gen_ai.provider.name``: who answers. The convention lets any system name itself."""

REQUEST: dict[str, str] = {
    "stream": "gen_ai.request.stream",
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_k": "gen_ai.request.top_k",
    "top_p": "gen_ai.request.top_p",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "random_seed": "gen_ai.request.seed",
}
"""Attributes by the names of our inputs: numbers and a flag. Texts of a client (stop words, tools,
messages) are in no span."""


def option_attributes(options: Mapping[str, object]) -> dict[str, int | float]:
    """Return the attributes of the options that are given; a seed beyond int64, the widest integer
    of a span, is left out."""
    return {
        name: value
        for option, name in REQUEST.items()
        if isinstance(value := options.get(option), int | float) and value < 2**63
    }


def operation_of(*, chat: bool) -> str:
    """Return ``gen_ai.operation.name`` of a request with messages, or of one with a text."""
    return "chat" if chat else "text_completion"


def span_name(operation: str, model: str) -> str:
    """Return the name of the span of one answer, as the convention forms it."""
    return f"{operation} {model}" if model else operation
