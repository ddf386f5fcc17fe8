"""``guided_decoding`` of Dynamo's request as options of the SDK. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gemma4_dynamo.refused import RefusedError
from gemma4_dynamo.values import part

__all__ = ["guide_options"]

_WHERE = "sampling_options.guided_decoding"
_GUIDES = ("json", "regex", "choice", "grammar")
_REFUSED = {
    "backend": "the engine has its own; leave it out",
    "whitespace_pattern": "the engine has its own; leave it out",
    "structural_tag": "the engine takes json, regex, choice and grammar",
}


def guide_options(guided: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of a guide; none without one. Raises :class:`RefusedError` for what the
    engine has not, and for two guides at once."""
    given = {k: v for k, v in part(_WHERE, guided).items() if v not in (None, [])}
    for name in given:
        if name not in _GUIDES:
            raise RefusedError(f"{_WHERE}.{name}", _REFUSED.get(name, "is not known; leave it out"))
    if len(given) > 1:
        raise RefusedError(_WHERE, f"{' and '.join(given)} are both given; send one of them")
    for name, value in given.items():
        return _guide(name, value)
    return {}


def _guide(name: str, value: Any) -> dict[str, Any]:
    if name == "json":
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return {
            "guided_decoding_guide_type": "json_schema",
            "guided_decoding_guide": text,
        }
    if name == "choice":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise RefusedError(f"{_WHERE}.choice", f"{value!r} is no list of texts")
        return {"regex": "|".join(map(re.escape, value))}
    if not isinstance(value, str):
        raise RefusedError(f"{_WHERE}.{name}", f"{value!r} is no text")
    return {name: value}
