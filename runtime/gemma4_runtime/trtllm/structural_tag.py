"""A whole answer around a guide as one of xgrammar's structural tags:
``thought? (call+ | guided text)``.

Only ``sequence``, ``or``, ``grammar``, ``json_schema`` and ``regex`` are used: their meaning is the
same in xgrammar 0.1.25, 0.1.32 and 0.2.9 (``make test-xgrammar`` walks the same answers through all
three). To xgrammar Gemma's markers are text like any other. So free text has neither ``<|`` nor
``|>`` in it: no marker, no end of the answer.
"""

from __future__ import annotations

import json
from typing import Any

from gemma4_runtime.messages import GuidedDecoding, Prelude

__all__ = ["structural_tag"]

_TEXT = r"""
text ::= "" | [^<|] text | "<" less | "|" bar
less ::= "" | [^<|] text | "<" less
bar ::= "" | [^<|>] text | "<" less | "|" bar
"""
_THOUGHT = {
    "may": 'root ::= "" | "<|channel>" text "<channel|>"' + _TEXT,
    "open": 'root ::= text "<channel|>"' + _TEXT,
}
_CALLS = (
    r"""root ::= call+ "<|tool_response>"?
call ::= "<|tool_call>call:" name object "<tool_call|>"
object ::= "{}" | "{" pair ("," pair)* "}"
pair ::= key ":" value
key ::= [^:{}<>|,"\[\] \t\r\n]+
value ::= string | number | "true" | "false" | "null" | object | array
string ::= "<|\"|>" text "<|\"|>"
array ::= "[]" | "[" value ("," value)* "]"
number ::= "-"? ("0" | [1-9] [0-9]{0,30}) ("." [0-9]{1,30})? ([eE] [+\-]? [0-9]{1,2})?"""
    + _TEXT
)


def structural_tag(guided: GuidedDecoding, prelude: Prelude) -> str:
    """JSON text for ``GuidedDecodingParams(structural_tag=...)``."""
    rest = _form(guided)
    if prelude.tools:
        names = " | ".join(json.dumps(tool.name) for tool in prelude.tools)
        calls = _grammar(_CALLS + f"name ::= {names}\n")
        rest = {"type": "or", "elements": [calls, rest]}
    if prelude.thought != "none":
        thought = _grammar(_THOUGHT[prelude.thought])
        rest = {"type": "sequence", "elements": [thought, rest]}
    return json.dumps({"type": "structural_tag", "format": rest}, ensure_ascii=False)


def _form(guided: GuidedDecoding) -> dict[str, Any]:
    if guided.kind == "regex":
        return {"type": "regex", "pattern": guided.guide}
    if guided.kind == "grammar":
        return _grammar(guided.guide)
    schema = json.loads(guided.guide) if guided.guide else {"type": "object"}
    return {"type": "json_schema", "json_schema": schema}


def _grammar(text: str) -> dict[str, Any]:
    return {"type": "grammar", "grammar": text}
