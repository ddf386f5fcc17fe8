"""Guides as llguidance grammars: the form that llama.cpp takes, and that answers are checked by."""

from __future__ import annotations

import json
from typing import Any

from llguidance.gbnf_to_lark import gbnf_to_lark

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["guide_grammar"]

_FIELD = "guided_decoding_guide"
_HEAD = "%llguidance {}\n"


def guide_grammar(guided: GuidedDecoding) -> str:
    """Return the grammar of any guide, in llguidance's form of Lark. Raises INVALID_ARGUMENT for
    GBNF that cannot be read."""
    if guided.kind == "regex":
        return _HEAD + "start: /" + _slashed(guided.guide) + "/"
    if guided.kind == "grammar":
        return _HEAD + _lark(guided.guide)
    return _json_grammar(json.loads(guided.guide) if guided.guide else {"type": "object"})


def _lark(grammar: str) -> str:
    """Turn GBNF into Lark. llama.cpp's own reader of GBNF takes exponential time and memory for a
    few dozen optional parts (``"a"? "a"? ...``), so every runtime gets what llguidance has read."""
    if grammar.lstrip().startswith("%llguidance"):
        raise invalid(
            Code.OPTION_UNSUPPORTED,
            _FIELD,
            "this runtime takes GBNF grammars (root ::= ...), not llguidance's",
        )
    if "::=" not in grammar:
        raise invalid(
            Code.INVALID_GRAMMAR, _FIELD, "is no GBNF grammar; it needs a rule such as root ::= ..."
        )
    try:
        lark: str = gbnf_to_lark(grammar)
    except Exception as error:  # noqa: BLE001 - the converter raises what its parser happens to
        raise invalid(Code.INVALID_GRAMMAR, _FIELD, f"is no GBNF grammar: {error}") from None
    return lark


def _json_grammar(schema: dict[str, Any]) -> str:
    """Return llguidance's grammar of a schema, with fixed white space: left free, a model that is
    forced into JSON can fill its whole budget with spaces."""
    spacing = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return _HEAD + "start: %json " + json.dumps(schema | {"x-guidance": spacing})


def _slashed(pattern: str) -> str:
    """Escape the slashes that end a Lark regex, but not those already escaped."""
    out, escaped = [], False
    for char in pattern:
        if char == "/" and not escaped:
            out.append("\\")
        escaped = char == "\\" and not escaped
        out.append(char)
    return "".join(out)
