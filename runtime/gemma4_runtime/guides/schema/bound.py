"""What a JSON schema that constrains the output may cost, before anything compiles it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.schema.check import subschemas

__all__ = ["bound_schema"]

MOST_REPEATS = 10_000
"""Of items and properties of all arrays and objects together. llguidance writes each of them out:
measured 10 us and 2 KB for one of ``maxItems``, and with 100,000 the engine dropped the guide."""
MOST_MULTIPLE = 100_000
"""Of all ``multipleOf`` together, after the decimal point is shifted out. One is an automaton of as
many states: measured 3 us and 250 bytes a state."""
MOST_PATTERN_PROPERTIES = 64
"""Each is compared with each: measured 0.2 s for 64 and 2.3 s for 200."""

_LEAST = ("minItems", "minLength", "minProperties")
_MOST = ("maxItems", "maxLength", "maxProperties")
_COUNTED = ("minItems", "maxItems", "minProperties", "maxProperties")


def bound_schema(field: str, schema: dict[str, Any], *, reach: int) -> bool:
    """Bound a schema. ``reach``: the longest output of this engine, in bytes. An upper limit beyond
    that cannot matter and is taken out (``maxLength`` 2147483647 is common in generated schemas).
    True when ``schema`` was changed so. Raises INVALID_ARGUMENT for what costs too much, or cannot
    be met."""
    changed = False
    repeats, multiples, patterns = 0, Decimal(0), 0
    for part in subschemas(schema):
        for name in _LEAST:
            if part.get(name, 0) > reach:
                raise invalid(
                    Code.GUIDE_UNSUPPORTED,
                    field,
                    f"{name} {part[name]} is more than this engine can write ({reach} bytes)",
                )
        for name in _MOST:
            if part.get(name, 0) > reach:
                del part[name]
                changed = True
        repeats += sum(int(part.get(name, 0)) for name in _COUNTED)
        multiples += _multiple(part)
        patterns += len(part.get("patternProperties", ()))
    if repeats > MOST_REPEATS:
        raise invalid(
            Code.INPUT_TOO_COMPLEX,
            field,
            f"{', '.join(_COUNTED)} add up to {repeats}; at most {MOST_REPEATS}; "
            "use smaller ones or leave them out",
            size=repeats,
            limit=MOST_REPEATS,
        )
    if multiples > MOST_MULTIPLE:
        raise invalid(
            Code.INPUT_TOO_COMPLEX,
            field,
            f"multipleOf comes to {multiples:f} steps; at most {MOST_MULTIPLE}; leave it out, and "
            "check the number yourself",
        )
    if patterns > MOST_PATTERN_PROPERTIES:
        raise invalid(
            Code.INPUT_TOO_COMPLEX,
            field,
            f"{patterns} patternProperties; at most {MOST_PATTERN_PROPERTIES}; merge them",
            size=patterns,
            limit=MOST_PATTERN_PROPERTIES,
        )
    return changed


def _multiple(part: dict[str, Any]) -> Decimal:
    """Count steps: 0.25 is 25 steps of 0.01."""
    value = part.get("multipleOf")
    if value is None:
        return Decimal(0)
    exact = Decimal(str(value))
    exponent = exact.as_tuple().exponent
    return exact.scaleb(-exponent) if isinstance(exponent, int) and exponent < 0 else exact
