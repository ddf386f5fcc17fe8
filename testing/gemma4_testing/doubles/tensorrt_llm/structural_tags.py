"""A structural tag in the words of the decoder underneath, which has no xgrammar."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from gemma4_runtime.messages import GuidedDecoding, Prelude

_NAMES = re.compile(r'root ::= "<\|tool_call>call:" \(((?:"[\w.\-]+"(?: \| )?)+)\)')
_EMPTY, _END = 'root ::= ""', 'root ::= "" | "<|tool_response>"'


def read_structural_tag(text: str) -> tuple[GuidedDecoding, Prelude]:
    """Of ``sequence[thought, or[calls, form]]``, where thought and calls may be absent. Raises
    :class:`ValueError` for anything else."""
    rest = _exactly(json.loads(text), "structural_tag", "format")["format"]
    thought: Literal["none", "may", "open"] = "none"
    tools: tuple[str, ...] = ()
    if rest["type"] == "sequence":
        first, rest = _exactly(rest, "sequence", "elements")["elements"]
        thought = "open" if first["type"] == "tag" else "may"
        if thought == "may":
            empty, first = _exactly(first, "or", "elements")["elements"]
            _same(_grammar(empty), _EMPTY)
        _until(first, "" if thought == "open" else "<|channel>", "<channel|>")
    if rest["type"] == "or":
        calls, rest = _exactly(rest, "or", "elements")["elements"]
        tools = _calls(calls)
    return _form(rest), Prelude(thought, tools)


def _calls(calls: dict[str, Any]) -> tuple[str, ...]:
    """One call, its end or more calls."""
    head, body, end = _exactly(calls, "sequence", "elements")["elements"]
    names = _NAMES.fullmatch(_grammar(head))
    if names is None:
        raise ValueError(f"no names of tools: {head}")
    _until(body, "{", "}<tool_call|>")
    tools = tuple(json.loads(name) for name in names[1].split(" | "))
    if end["type"] == "or":
        end, more = _exactly(end, "or", "elements")["elements"]
        _same(_calls(more), tools)
    _same(_grammar(end), _END)
    return tools


def _until(form: dict[str, Any], begin: str, end: str) -> None:
    _same(form, {"type": "tag", "begin": begin, "content": {"type": "any_text"}, "end": end})


def _same(given: Any, expected: Any) -> None:
    if given != expected:
        raise ValueError(f"{given} is not {expected}")


def _form(form: dict[str, Any]) -> GuidedDecoding:
    if form["type"] == "regex":
        return GuidedDecoding("regex", _exactly(form, "regex", "pattern")["pattern"])
    if form["type"] == "grammar":
        return GuidedDecoding("grammar", _grammar(form))
    schema = _exactly(form, "json_schema", "json_schema")["json_schema"]
    return GuidedDecoding("json_schema", json.dumps(schema))


def _grammar(form: dict[str, Any]) -> str:
    text: str = _exactly(form, "grammar", "grammar")["grammar"]
    return text


def _exactly(form: dict[str, Any], kind: str, field: str) -> dict[str, Any]:
    if form.keys() != {"type", field} or form["type"] != kind:
        raise ValueError(f"not a {kind} with {field}: {form}")
    return form
