"""What a caller adds to the logits of single tokens, checked."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.json_text import kind_of, load_json
from gemma4_runtime.limits import MOST_BIAS, Limits

__all__ = ["parse_logit_bias"]

_MOST_DIGITS = 10
"""Of a token id, and more than the ids of any vocabulary have."""


def parse_logit_bias(text: str, limits: Limits, vocab_size: int) -> tuple[tuple[int, float], ...]:
    """Return (token id, amount) pairs without amounts of 0. Raises INVALID_ARGUMENT."""
    field = "logit_bias"
    biases = load_json(field, text, limits)
    if not isinstance(biases, dict):
        raise invalid(
            Code.WRONG_TYPE,
            field,
            f"must be a JSON object of token ids and numbers, not {kind_of(biases)}",
        )
    if len(biases) > limits.max_logit_bias:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            field,
            f"{len(biases)} tokens; at most {limits.max_logit_bias}",
            size=len(biases),
            limit=limits.max_logit_bias,
        )
    pairs = [(_token(key, vocab_size), _amount(key, value)) for key, value in biases.items()]
    return tuple((token, amount) for token, amount in pairs if amount)


def _token(key: str, vocab_size: int) -> int:
    plain = key.isascii() and key.isdigit() and len(key) <= _MOST_DIGITS
    if not plain or str(int(key)) != key or int(key) >= vocab_size:
        raise invalid(
            Code.OUT_OF_RANGE,
            "logit_bias",
            f"{key[:40]!r} is no token id; ids are 0 to {vocab_size - 1}",
            least=0,
            most=vocab_size - 1,
        )
    return int(key)


def _amount(key: str, value: Any) -> float:
    field = f"logit_bias.{key}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(Code.WRONG_TYPE, field, f"must be a number, not {kind_of(value)}")
    if not -MOST_BIAS <= value <= MOST_BIAS:
        raise invalid(
            Code.OUT_OF_RANGE,
            field,
            f"{value:g} is not in {-MOST_BIAS:g} to {MOST_BIAS:g}",
            least=-MOST_BIAS,
            most=MOST_BIAS,
        )
    return float(value)
