"""Tool calls out of guided text. Pure."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

__all__ = ["listed_calls", "named_call", "new_call_id"]


def new_call_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def named_call(name: str, arguments: str) -> dict[str, Any]:
    """Return one call whose arguments are the text."""
    return _call(name, arguments)


_CUT = re.compile(r'\{\s*"name"\s*:\s*"([^"]+)"\s*,\s*"arguments"\s*:\s*(.*)\Z', re.DOTALL)


def listed_calls(text: str) -> list[dict[str, Any]]:
    """Return the calls in ``[{"name": ..., "arguments": {...}}, ...``. Where the text was cut off,
    so are the arguments of the last call."""
    decoder = json.JSONDecoder()
    calls: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            cut = _CUT.match(text, at)
            return [*calls, _call(*cut.groups())] if cut else calls
        arguments = json.dumps(value["arguments"], ensure_ascii=False)
        calls.append(_call(value["name"], arguments))
        at = text.find("{", end)
    return calls


def _call(name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": new_call_id(),
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
