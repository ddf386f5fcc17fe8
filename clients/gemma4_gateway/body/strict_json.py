"""JSON as RFC 8259 has it and nothing beside: no NaN, no infinite number, no name twice."""

from __future__ import annotations

import json
from typing import Any

from gemma4_gateway.body.bounds import (
    MOST_DIGITS,
    check_bounds,
    has_lone_surrogate,
    has_long_number,
)
from gemma4_gateway.errors import ApiError

__all__ = ["parse"]


def parse(body: bytes, most_nodes: int) -> Any:
    """Parse a body. Raises :class:`~gemma4_gateway.errors.ApiError` 400."""
    check_bounds(body, most_nodes)
    if has_lone_surrogate(body):
        raise _invalid("it contains a lone surrogate such as \\ud800; remove it")
    try:
        return json.loads(
            body.decode(),
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_int if has_long_number(body) else None,
            parse_constant=_constant,
        )
    except UnicodeDecodeError as error:
        raise _invalid(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _invalid(f"{error.msg} at character {error.pos}") from None
    except ValueError as error:
        raise _invalid(str(error)) from None


def _invalid(reason: str) -> ApiError:
    return ApiError(400, f"the body is not JSON: {reason}", code="invalid_json")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:64]!r} is there twice in one object")
    return found


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:32]} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS + 1:  # and a sign
        raise ValueError(f"a number has {len(text)} digits; at most {MOST_DIGITS}")
    return int(text)


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
