"""A JSON schema for TensorRT-LLM, whose compiler of guides, xgrammar, passes over what it does not
know and goes on without it.

Each rule comes from random answers of xgrammar 0.1.32 and 0.2.9 to the schemas of
tests/runtime/guides/guide_table.py that jsonschema-rs found wrong. What can be said in words that
both keep is said so; the rest is refused by name. Bounds of numbers are left: 0.1.32 lets some
beyond them through (1.1 for maximum 1), 0.2.9 none, and the finished answer is looked at.
"""

from __future__ import annotations

import re
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.schema.ecma_regex import rust_regex
from gemma4_runtime.guides.schema.formats import PATTERNS
from gemma4_runtime.guides.schema.xgrammar_regex import FREE_TEXT, xgrammar_regex

__all__ = ["for_xgrammar"]

_BESIDE = ("$defs", "definitions")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_MOST_INTEGER = 2**63 - 1024
"""The largest bound of an integer: the largest double below 2**63."""
_FORMATS = frozenset(PATTERNS.values())
_LONG = 256
"""Characters from which a limit beside a format is left to the look at the finished answer."""


def for_xgrammar(field: str, parts: list[dict[str, Any]]) -> None:
    """Change the ``parts`` of a schema. Raises INVALID_ARGUMENT."""
    for part in parts:
        if "multipleOf" in part:
            raise _refusal(field, "multipleOf", "leave it out")
        if len(part.get("allOf", ())) > 1 or (
            "allOf" in part and set(part) - {"allOf", "x-guidance", *_BESIDE}
        ):
            raise _refusal(field, "allOf", "write one schema that says all of it")
        _numbers(field, part)
        _texts(field, part)
        _names(field, part)
        if any(mark in part.get("$ref", "") for mark in "~%"):
            raise _refusal(field, f"$ref {part['$ref']!r}", "name it without / ~ %")


def _numbers(field: str, part: dict[str, Any]) -> None:
    bounds = [name for name in _BOUNDS if name in part]
    if not bounds:
        return
    kinds = part.get("type", [])
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if not kinds & {"number", "integer"}:
        raise _refusal(field, f"{bounds[0]} without a type", "add type integer or number")
    for name in bounds:
        if "integer" in kinds and abs(part[name]) > _MOST_INTEGER:
            raise _refusal(field, f"{name} {part[name]}", "use a smaller one")


def _texts(field: str, part: dict[str, Any]) -> None:
    pattern = part.get("pattern")
    least, most = part.pop("minLength", 0), part.pop("maxLength", None)
    limited = bool(least) or most is not None
    if pattern is None and not limited:
        return
    kinds = part.get("type", [])
    if "string" not in ([kinds] if isinstance(kinds, str) else kinds):
        raise _refusal(field, "what is said of a string without its type", 'add type "string"')
    if pattern is None:
        part["pattern"] = f"^{FREE_TEXT}{{{least},{'' if most is None else most}}}$"
        return
    least = 0 if least == 1 and not re.search(pattern, "") else least  # it says so itself
    if pattern not in _FORMATS and (least or most is not None):
        raise _refusal(field, "pattern beside minLength or maxLength", "say it in the pattern")
    if least > 1 or (most is not None and most < _LONG):
        raise _refusal(field, "format beside a length", "leave the length out")
    part["pattern"] = xgrammar_regex(field, rust_regex(field, pattern))


def _names(field: str, part: dict[str, Any]) -> None:
    names = [*part.get("properties", ()), *part.get("required", ())]
    for name in names:
        if any(char in '"\\' or char < " " for char in name):
            raise _refusal(field, f"the property {name!r}", "use a name without quote or backslash")
    if "patternProperties" in part:
        part["patternProperties"] = {
            xgrammar_regex(field, rust_regex(field, pattern)): item
            for pattern, item in part["patternProperties"].items()
        }
        missing = set(part.get("required", ())) - set(part.get("properties", ()))
        if missing:
            raise _refusal(field, f"required {min(missing)!r}", "declare it in properties")


def _refusal(field: str, what: str, instead: str) -> Exception:
    return invalid(
        Code.GUIDE_UNSUPPORTED,
        field,
        f"{what} cannot be enforced by TensorRT-LLM's compiler of guides; {instead}, and check the "
        "answer yourself",
    )
