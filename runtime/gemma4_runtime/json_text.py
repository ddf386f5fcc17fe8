"""JSON that a client sent, read within limits."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.limits import Limits

__all__ = ["NotJsonError", "kind_of", "load_json"]


class NotJsonError(RequestError):
    """INVALID_ARGUMENT: the text is not JSON, as opposed to JSON beyond a limit."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(Code.INVALID_JSON, f"{field}: {message}", field=field)


def load_json(field: str, text: str, limits: Limits, *, most_values: int | None = None) -> Any:
    """Parse JSON. Raises :class:`NotJsonError` with the place of the fault, for NaN and numbers
    beyond a double's too; INVALID_ARGUMENT for lone surrogates, nesting beyond the limit and more
    than ``most_values`` values."""

    def constant(word: str) -> NoReturn:
        raise NotJsonError(field, f"{word} is not JSON")

    try:
        value = json.loads(text, parse_constant=constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise NotJsonError(field, f"is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise NotJsonError(field, f"cannot be read as JSON: {error}") from None
    except RecursionError as error:
        raise invalid(Code.INPUT_TOO_COMPLEX, field, f"cannot be read as JSON: {error}") from None
    most = limits.max_json_values if most_values is None else most_values
    count = _count(field, value, limits.max_json_depth)
    if count > most:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            field,
            f"holds {count} JSON values; at most {most}; make it smaller",
            size=count,
            limit=most,
        )
    return value


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:40]} is beyond what a number can be, about 1.8e308")
    return value


def _count(field: str, value: Any, depth: int) -> int:
    """Count the values in ``value``, keys left out, after a look at all of its strings."""
    if depth == 0:
        raise invalid(Code.INPUT_TOO_COMPLEX, field, "JSON is nested too deep; flatten it")
    if isinstance(value, str):
        _check_text(field, value)
        return 1
    if isinstance(value, dict):
        for key in value:
            _check_text(field, key)
        return 1 + sum(_count(field, item, depth - 1) for item in value.values())
    if isinstance(value, list):
        return 1 + sum(_count(field, item, depth - 1) for item in value)
    return 1


def _check_text(field: str, text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(
            Code.INVALID_TEXT, field, r"contains a lone surrogate such as \ud800"
        ) from None


def kind_of(value: Any) -> str:
    """Say for messages what ``value`` is."""
    return {type(None): "null", dict: "an object", list: "a list", str: "a string"}.get(
        type(value), repr(value)
    )
