"""Small checks that messages and tools share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.json_text import kind_of

__all__ = ["Guard", "guard_tree", "string", "tool_name"]

Guard = Callable[[str, str], str]
"""Makes control literals in a text inert; the second argument is the field's name."""
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")


def guard_tree(field: str, value: Any, guard: Guard) -> Any:
    """Return a JSON value with every string in it, keys too, guarded."""
    if isinstance(value, str):
        return guard(value, field)
    if isinstance(value, dict):
        return {guard(k, field): guard_tree(field, v, guard) for k, v in value.items()}
    if isinstance(value, list):
        return [guard_tree(field, item, guard) for item in value]
    return value


def string(field: str, value: Any) -> str:
    """Return a string; raise INVALID_ARGUMENT for anything else."""
    if not isinstance(value, str):
        raise invalid(Code.WRONG_TYPE, field, f"must be a string, not {kind_of(value)}")
    return value


def tool_name(field: str, name: Any) -> str:
    """Return the name; raise INVALID_ARGUMENT for what no tool may be called."""
    if not isinstance(name, str) or not _TOOL_NAME.match(name):
        raise invalid(
            Code.INVALID_VALUE, field, f"{name!r}: a name has 1 to 64 of A-Z a-z 0-9 _ . -"
        )
    return name
