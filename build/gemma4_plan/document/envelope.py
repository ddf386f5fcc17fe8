"""What is around every answer, and its JSON Schema."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from gemma4_plan.catalog import Catalog
from gemma4_plan.document.capacity import Capacity
from gemma4_plan.document.fit import Fit
from gemma4_plan.document.memory import Memory
from gemma4_plan.document.parts import strict
from gemma4_plan.document.simulate import Simulation

__all__ = ["RESULTS", "SCHEMA_VERSION", "Command", "schema", "text_of"]

SCHEMA_VERSION = 1
"""Of the form. A key that is added leaves it; one that goes, or means something else, raises it."""

Command = Literal["memory", "fit", "catalog", "capacity", "simulate"]

RESULTS: dict[Command, Any] = {
    "memory": Memory, "fit": Fit, "catalog": Catalog, "capacity": Capacity, "simulate": Simulation,
}  # fmt: skip
"""The type of each command's result."""


def text_of(command: Command, result: Mapping[str, Any] | None, *, error: str = "") -> str:
    """Return the document of a result, or of the error in its place."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "error": error or None,
        "result": None if result is None else _plain(result),
    }
    return json.dumps(document, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return the value with None for nan and infinity, which JSON has not."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def schema() -> dict[str, Any]:
    """Return the JSON Schema of all documents."""
    made: dict[str, Any] = TypeAdapter(_any_document()).json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What `gemma4 plan COMMAND --json` prints",
    }
    return head | made


def _any_document() -> Any:
    """Return the type of one of all documents, which ``command`` tells apart."""
    typed: Any = TypedDict  # of fields that are not literals
    documents = []
    for command, result in RESULTS.items():
        fields = {
            "schema_version": Literal[1], "command": Literal[command], "error": str | None,
            "result": result | None,
        }  # fmt: skip
        documents.append(with_config(strict)(typed(f"{command.capitalize()}Document", fields)))
    return Annotated[Union[tuple(documents)], Field(discriminator="command")]  # noqa: UP007
