"""A structural tag in the words of the decoder underneath, which has no xgrammar."""

from __future__ import annotations

import json
import re
from typing import Any

from gemma4_runtime.messages import CallForm, GuidedDecoding, Prelude

_NAMES = re.compile(r'^name ::= ((?:"[\w.\-]+"(?: \| )?)+)$', re.MULTILINE)


def read_structural_tag(text: str) -> tuple[GuidedDecoding, Prelude]:
    """Of ``sequence[thought, or[calls, form]]``, where thought and calls may be absent. Raises
    :class:`ValueError` for anything else."""
    tag = _exactly(json.loads(text), "structural_tag", "format")
    rest, thought, tools = tag["format"], "none", ()
    if rest["type"] == "sequence":
        first, rest = _exactly(rest, "sequence", "elements")["elements"]
        rule = _grammar(first).splitlines()[0]
        thought = "open" if rule == 'root ::= text "<channel|>"' else "may"
        if thought == "may" and rule != 'root ::= "" | "<|channel>" text "<channel|>"':
            raise ValueError(f"no thought: {rule}")
    if rest["type"] == "or":
        calls, rest = _exactly(rest, "or", "elements")["elements"]
        names = _NAMES.search(_grammar(calls))
        if names is None:
            raise ValueError("no names of tools")
        tools = tuple(CallForm(json.loads(name)) for name in names[1].split(" | "))
    return _form(rest), Prelude(thought, tools)  # type: ignore[arg-type]


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
