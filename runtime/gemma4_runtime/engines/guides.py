"""Guides as llguidance grammars: the form that llama.cpp takes, and the check that all runtimes
share."""

from __future__ import annotations

import json
from typing import Any

from llguidance import LLMatcher
from llguidance.gbnf_to_lark import gbnf_to_lark

from gemma4_runtime.errors import invalid
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["check_gbnf", "llguidance_grammar"]

_FIELD = "guided_decoding_guide"


def llguidance_grammar(guided: GuidedDecoding) -> str:
    """Of a regex, JSON or JSON schema guide. Raises INVALID_ARGUMENT for what cannot be
    computed."""
    if guided.kind == "regex":
        grammar = "%llguidance {}\nstart: /" + _slashed(guided.guide) + "/"
    else:
        grammar = _json_grammar(json.loads(guided.guide) if guided.guide else {"type": "object"})
    _validate(grammar)
    return grammar


def check_gbnf(grammar: str) -> None:
    """Raises INVALID_ARGUMENT for a grammar that is not GBNF with a rule ``root``."""
    if grammar.lstrip().startswith("%llguidance"):
        raise invalid(_FIELD, "this runtime takes GBNF grammars (root ::= ...), not llguidance's")
    if "::=" not in grammar:
        raise invalid(_FIELD, "is no GBNF grammar; it needs a rule such as root ::= ...")
    try:
        lark = gbnf_to_lark(grammar)
    except Exception as error:  # noqa: BLE001 - the converter raises what its parser happens to
        raise invalid(_FIELD, f"is no GBNF grammar: {error}") from None
    _validate(lark)


def _validate(grammar: str) -> None:
    problem = LLMatcher.validate_grammar(grammar)
    if problem:
        raise invalid(_FIELD, f"cannot be used: {problem.splitlines()[0]}")


def _json_grammar(schema: dict[str, Any]) -> str:
    """llguidance's grammar of a schema, with fixed white space: left free, a model that is forced
    into JSON can fill its whole budget with spaces."""
    spacing = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
    return "%llguidance {}\nstart: %json " + json.dumps({"x-guidance": spacing} | schema)


def _slashed(pattern: str) -> str:
    """Escape the slashes that end a Lark regex, but not those already escaped."""
    out, escaped = [], False
    for char in pattern:
        if char == "/" and not escaped:
            out.append("\\")
        escaped = char == "\\" and not escaped
        out.append(char)
    return "".join(out)
