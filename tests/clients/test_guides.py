"""The schema that response_model asks for."""

from __future__ import annotations

import json
from typing import Any

from gemma4_client.guides import guide_inputs
from pydantic import BaseModel, ConfigDict


class Inner(BaseModel):
    properties: dict[str, int]
    type: str


class Outer(BaseModel):
    inner: list[Inner]
    other: Inner | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        guide_inputs({"response_model": model})["guided_decoding_guide"]
    )
    return found


def test_objects_of_a_class_are_closed_at_every_depth() -> None:
    schema = schema_of(Outer)
    inner = schema["$defs"]["Inner"]
    assert schema["additionalProperties"] is inner["additionalProperties"] is False


def test_fields_stay_what_they_are() -> None:
    inner = schema_of(Outer)["$defs"]["Inner"]["properties"]
    assert inner.keys() == {"properties", "type"}
    assert inner["properties"]["additionalProperties"] == {"type": "integer"}
    assert schema_of(Open)["additionalProperties"] is True
