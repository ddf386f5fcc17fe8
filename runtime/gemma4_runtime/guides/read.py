"""Guides for the output: read and bounded, before anything compiles them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gemma4_runtime.capabilities import Capabilities
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.regex_bound import check_regex
from gemma4_runtime.guides.repeats import expanded_size
from gemma4_runtime.guides.schema.bound import bound_schema
from gemma4_runtime.guides.schema.check import check_schema
from gemma4_runtime.guides.schema.drafts import modern
from gemma4_runtime.guides.schema.rewrite import plain_schema, reachable, rust_patterns
from gemma4_runtime.guides.schema.xgrammar_schema import for_xgrammar
from gemma4_runtime.json_text import load_json
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import GuidedDecoding

__all__ = ["read_guide"]

_KINDS = ("json", "json_schema", "regex", "grammar")
_FIELD = "guided_decoding_guide"


def read_guide(
    values: Mapping[str, Any], limits: Limits, capabilities: Capabilities, *, reach: int
) -> GuidedDecoding | None:
    """Read a guide; None without one. ``reach``: the longest output in bytes. Raises
    INVALID_ARGUMENT."""
    kind = values.get("guided_decoding_guide_type")
    guide: str = values.get(_FIELD, "")
    if kind is None:
        if guide:
            raise invalid(
                Code.MISSING_INPUT,
                "guided_decoding_guide_type",
                f"is missing; one of {', '.join(_KINDS)}",
            )
        return None
    if kind not in _KINDS:
        raise invalid(
            Code.INVALID_VALUE,
            "guided_decoding_guide_type",
            f"{kind!r} is not one of {', '.join(_KINDS)}",
        )
    if kind not in capabilities.guides:
        raise invalid(
            Code.OPTION_UNSUPPORTED,
            "guided_decoding_guide_type",
            capabilities.lacks["guided_decoding_guide_type"],
        )
    if len(guide.encode()) > limits.max_guide_bytes:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            _FIELD,
            f"is longer than {limits.max_guide_bytes} bytes",
            size=len(guide.encode()),
            limit=limits.max_guide_bytes,
        )
    if kind == "json":
        if guide:
            raise invalid(
                Code.CONFLICTING_INPUTS,
                _FIELD,
                "type json takes no guide; use json_schema",
                other="guided_decoding_guide_type",
            )
    elif not guide:
        raise invalid(Code.MISSING_INPUT, _FIELD, f"is missing for type {kind}")
    if kind == "json_schema":
        return _schema(guide, limits, capabilities, reach)
    if kind == "regex":
        check_regex(_FIELD, guide, most_size=capabilities.most_regex_size)
    elif kind == "grammar":
        _check_grammar(guide, capabilities)
    return GuidedDecoding(kind, guide)


def _schema(guide: str, limits: Limits, capabilities: Capabilities, reach: int) -> GuidedDecoding:
    schema = modern(load_json(_FIELD, guide, limits, most_values=limits.max_guide_values))
    if not isinstance(schema, dict):
        raise invalid(Code.INVALID_SCHEMA, _FIELD, "a JSON schema is an object")
    check_schema(_FIELD, schema, most_regex_size=capabilities.most_regex_size)
    bound_schema(_FIELD, schema, reach=reach)
    plain_schema(_FIELD, schema)
    asked = json.dumps(schema, ensure_ascii=False)
    if capabilities.compiler == "xgrammar":
        for_xgrammar(_FIELD, reachable(_FIELD, schema))
    else:
        rust_patterns(_FIELD, schema)
    return GuidedDecoding("json_schema", json.dumps(schema, ensure_ascii=False), asked)


def _check_grammar(guide: str, capabilities: Capabilities) -> None:
    size = expanded_size(guide, grammar=True)
    most = capabilities.most_grammar_size
    if size > most:
        raise invalid(
            Code.INPUT_TOO_COMPLEX,
            _FIELD,
            f"the grammar has {size} parts when its repeats are written out; at most {most}; use "
            "smaller counts, or * and +",
            size=size,
            limit=most,
        )
