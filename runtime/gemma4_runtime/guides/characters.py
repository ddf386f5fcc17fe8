"""The characters that a guide may want written, for engines that write whole tokens only."""

from __future__ import annotations

import json
import re
from typing import Any

from gemma4_runtime.guides.schema.check import subschemas
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["wanted_characters"]

_ESCAPED = re.compile(r"\\(?:u\{?([0-9A-Fa-f]{4,6})\}?|x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2}))")


def wanted_characters(guided: GuidedDecoding) -> set[str]:
    """Return the characters beyond ASCII that stand in the guide: constants, names of properties,
    patterns."""
    text = guided.guide
    if guided.kind == "json_schema":
        text = "".join(_texts(json.loads(guided.guide)))
    escaped = {
        chr(int(next(filter(None, found.groups())), 16) % 0x110000)
        for found in _ESCAPED.finditer(text)
    }
    return {char for char in escaped | set(text) if char > "\x7f"}


def _texts(schema: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for part in subschemas(schema):
        found += [*part.get("properties", ()), *part.get("patternProperties", ())]
        found += part.get("required", ())
        found.append(part.get("pattern", ""))
        found.append(json.dumps([part.get("const"), part.get("enum")], ensure_ascii=False))
    return found
