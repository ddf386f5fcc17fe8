"""Answers around guides, and which of them a request allows: for both runtimes' grammars."""

from __future__ import annotations

import json

NAMES = ("get_weather", "get", "a.b-c")
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string", "maxLength": 30}},
    "required": ["a"],
    "additionalProperties": False,
}

FORMS = {
    "json": ("json", "", '{"x": [1, true]}', "[1]"),
    "schema": ("json_schema", json.dumps(SCHEMA), '{"a": "x"}', '{"a": 1}'),
    "regex": ("regex", "[a-c]+}?", "abc}", "abd"),
    "grammar": ("grammar", 'root ::= "yes" | w # {\nw ::= "no{" call\ncall ::= "}"', "no{}", "no"),
}
"""Kind, guide, a text that follows it, one that does not."""

CALL = '<|tool_call>call:get_weather{city:<|"|>Paris<|"|>}<tool_call|>'
BARE = "<|tool_call>call:get{}<tool_call|>"
DEEP = (
    '<|tool_call>call:a.b-c{a:<|"|>x, } | < "y"\n<|"|>,b:[1,-2.5,1e9,{c:true}],d:{},first name:[],f:null}'
    "<tool_call|>"
)
THOUGHT = "<|channel>thought\nLet me see: a < b | c.<channel|>"
REST = "see.<channel|>"


def ANSWERS(form: str, other: str) -> list[tuple[str, str]]:  # noqa: N802 - reads as a table
    """(kind, text) of a form that fits and one that does not. Kinds: a thought ("", "T", or "R" for
    the rest of one) and what follows it, "F" a form, "C" calls; "~" before them: with what is no
    value of an argument, or with other markers in the thought; "-" is what no request allows."""
    starts = (("", ""), ("T", THOUGHT), ("R", REST))
    found = [(kind + "F", text + form) for kind, text in starts]
    for calls in (CALL, BARE, DEEP, CALL + BARE, BARE * 5, CALL + "<|tool_response>"):
        found += [(kind + "C", text + calls) for kind, text in starts]
    found += [("-", text + other) for _, text in starts]
    found += [
        ("-", text)
        for text in (
            "Hello",
            "Let me look. " + CALL,
            CALL + form,
            form + CALL,
            THOUGHT,
            THOUGHT + THOUGHT + form,
            CALL + THOUGHT,
            CALL.replace("get_weather", "other"),
            BARE.replace("get", "getx"),
            BARE.replace("get", "ge"),
            BARE.replace("call:", ""),
            BARE.replace("<tool_call|>", ""),
            "<|channel>a" + BARE,
            "<|channel>a<turn|>",
            "<|channel>" + form,
        )
    ]
    found += [
        ("~C", CALL.replace('<|"|>', '"')),
        ("~C", CALL.replace("city:", "city")),
        ("~C", CALL.replace("city:", "ci=ty:")),
        ("~TF", "<|channel>a<|channel>b<channel|>" + form),
        ("~TC", "<|channel>a<|tool_call>b<channel|>" + CALL),
    ]
    return found


def fits(kind: str, thought: str, *, tools: bool, loose: bool) -> bool:
    """Whether a request with this prelude allows an answer of this kind. ``loose``: arguments and
    thoughts are free up to their end marker."""
    if kind.startswith("~"):
        return loose and fits(kind[1:], thought, tools=tools, loose=True)
    starts = {"none": ("",), "may": ("", "T"), "open": ("R", "T") if loose else ("R",)}[thought]
    return kind != "-" and kind[:-1] in starts and (tools or kind[-1] == "F")
