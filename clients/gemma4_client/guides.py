"""Guided decoding: what the caller asks for to tensors, and the answer back to an object. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gemma4_client.errors import ResponseFormatError
from gemma4_client.results import Answer

__all__ = ["GUIDES", "guide_inputs", "parse_answer"]

GUIDES = ("response_model", "json_schema", "json_object", "regex", "grammar")
_TYPE, _GUIDE = "guided_decoding_guide_type", "guided_decoding_guide"


def _schema_of(model: Any) -> dict[str, Any]:
    if not (isinstance(model, type) and hasattr(model, "model_json_schema")):
        raise ValueError(
            f"response_model={model!r} is no pydantic model class (pydantic 2 or later); give a "
            f"subclass of pydantic.BaseModel, or a schema as json_schema"
        )
    schema: dict[str, Any] = model.model_json_schema()
    _close(schema)
    return schema


def _close(schema: Any) -> None:
    """Allow no properties but those of the class: pydantic would ignore them, and a model could go
    on inventing them. A class that allows extras says so, and keeps them."""
    if isinstance(schema, list):
        for part in schema:
            _close(part)
    elif isinstance(schema, dict):
        # A field may itself be called "properties"; only a schema has this type.
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            _close(part)


def guide_inputs(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``options`` with the members of GUIDES turned into the two guided_decoding tensors.
    Raises :class:`ValueError` when there are two of them."""
    given = [name for name in GUIDES if options.get(name) not in (None, False)]
    inputs = {name: value for name, value in options.items() if name not in GUIDES}
    if not given:
        return inputs
    if len(given) > 1 or inputs.get(_TYPE) is not None:
        names = " and ".join([*given, _TYPE][:2])
        raise ValueError(f"{names} are both given; an answer follows one guide")
    name, value = given[0], options[given[0]]
    if name == "json_object":
        return inputs | {_TYPE: "json"}
    if name == "response_model":
        name, value = "json_schema", _schema_of(value)
    if name == "json_schema":
        if not isinstance(value, Mapping):
            raise ValueError(f"json_schema={value!r} must be a dict")
        value = json.dumps(value, ensure_ascii=False)
    elif not isinstance(value, str):
        raise ValueError(f"{name}={value!r} must be a string")
    return inputs | {_TYPE: name, _GUIDE: value}


def parse_answer(answer: Answer, model: Any) -> Any:
    """Return an instance of the pydantic class ``model``. Raises :class:`ResponseFormatError`."""
    try:
        return model.model_validate_json(answer.text)
    except ValueError as error:  # pydantic's ValidationError is one
        why = " (max_tokens cut it off)" if answer.finish_reason == "length" else ""
        raise ResponseFormatError(
            f"the answer is no {model.__name__}{why}: {error}", answer
        ) from None
