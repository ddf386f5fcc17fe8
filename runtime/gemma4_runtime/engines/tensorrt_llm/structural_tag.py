"""A whole answer around a guide as one of xgrammar's structural tags:
``thought? (call+ | guided text)``.

Only formats are used that mean the same in xgrammar 0.1.25, 0.1.32 and 0.2.9 (``make
test-xgrammar`` walks the same answers through all three). Thoughts and the arguments of calls are
``any_text`` up to their end marker: rules that exclude the other markers cost 2 ms for each token
with 262,144 words, ``any_text`` costs 0.02 ms. To xgrammar Gemma's markers are text like any other.
"""

from __future__ import annotations

import json
from typing import Any

from gemma4_runtime.messages import GuidedDecoding, Prelude

__all__ = ["MOST_CALLS", "structural_tag"]

MOST_CALLS = 16
"""Of one answer: xgrammar 0.1 has no format for any number of them."""

Format = dict[str, Any]


def structural_tag(guided: GuidedDecoding, prelude: Prelude) -> str:
    """Return the JSON text for ``GuidedDecodingParams(structural_tag=...)``."""
    rest = _form(guided)
    if prelude.tools:
        rest = _either(_calls(" | ".join(json.dumps(name) for name in prelude.tools)), rest)
    if prelude.thought == "may":
        rest = _sequence(_either(_grammar('root ::= ""'), _until("<|channel>", "<channel|>")), rest)
    elif prelude.thought == "open":
        rest = _sequence(_until("", "<channel|>"), rest)
    return json.dumps({"type": "structural_tag", "format": rest}, ensure_ascii=False)


def _calls(names: str) -> Format:
    call = (
        _grammar(f'root ::= "<|tool_call>call:" ({names})'),
        _until("{", "}<tool_call|>"),
    )
    end = _grammar('root ::= "" | "<|tool_response>"')
    calls = _sequence(*call, end)
    for _ in range(MOST_CALLS - 1):
        calls = _sequence(*call, _either(end, calls))
    return calls


def _form(guided: GuidedDecoding) -> Format:
    if guided.kind == "regex":
        return {"type": "regex", "pattern": guided.guide}
    if guided.kind == "grammar":
        return _grammar(guided.guide)
    schema = json.loads(guided.guide) if guided.guide else {"type": "object"}
    return {"type": "json_schema", "json_schema": schema}


def _grammar(text: str) -> Format:
    return {"type": "grammar", "grammar": text}


def _until(begin: str, end: str) -> Format:
    return {"type": "tag", "begin": begin, "content": {"type": "any_text"}, "end": end}


def _either(*elements: Format) -> Format:
    return {"type": "or", "elements": list(elements)}


def _sequence(*elements: Format) -> Format:
    return {"type": "sequence", "elements": list(elements)}
