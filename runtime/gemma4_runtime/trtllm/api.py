"""TensorRT-LLM's API as recorded in ``api/*.json``: names, types and defaults, no code.

The records let a wrong argument fail where TensorRT-LLM is not installed: when a folder is built,
when a test calls the double, before a server loads weights. Each names its sources.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gemma4_runtime.trtllm.types import ApiType, describe, matches, parse_type
from gemma4_runtime.trtllm.versions import PINNED

__all__ = ["VERSION", "ApiClass", "ApiError", "Argument", "check_arguments", "load_api"]

VERSION = PINNED
"""The version that the records are of, and that engine folders are made for."""

_FOLDER = Path(__file__).parent / "api"


class ApiError(ValueError):
    """An argument that TensorRT-LLM does not take. ``key`` is its dotted path."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument or attribute. Bounds are inclusive, but for ``above``."""

    name: str
    type: ApiType
    required: bool
    default: Any
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None


@dataclass(frozen=True, slots=True)
class ApiClass:
    """One recorded class or function. ``aliases``: other name -> argument."""

    name: str
    arguments: dict[str, Argument]
    aliases: dict[str, str]
    methods: tuple[str, ...]
    sources: tuple[dict[str, str], ...]

    def defaults(self) -> dict[str, Any]:
        """Every argument that has a default."""
        return {a.name: a.default for a in self.arguments.values() if not a.required}


@cache
def load_api() -> dict[str, ApiClass]:
    """All records by class name."""
    records = (json.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.json")))
    return {record["class"]: _api_class(record) for record in records}


def _api_class(record: dict[str, Any]) -> ApiClass:
    arguments = {
        name: Argument(
            name=name,
            type=parse_type(entry["type"]),
            required=entry.get("required", False),
            default=entry.get("default"),
            minimum=entry.get("minimum"),
            maximum=entry.get("maximum"),
            above=entry.get("above"),
        )
        for name, entry in record["arguments"].items()
    }
    return ApiClass(
        name=record["class"],
        arguments=arguments,
        aliases=record.get("aliases", {}),
        methods=tuple(record.get("methods", ())),
        sources=tuple(record["sources"]),
    )


def check_arguments(class_name: str, values: Mapping[str, Any], *, where: str = "") -> None:
    """Check every argument of ``values``, nested configurations too. ``where`` is the dotted path
    of ``values`` in what the user wrote. Raises :class:`ApiError` for the first that
    TensorRT-LLM would refuse, with the way out, and :class:`KeyError` for an unrecorded class."""
    known = load_api()[class_name]
    for given, value in values.items():
        name = known.aliases.get(given, given)
        key = f"{where}.{given}" if where else str(given)
        argument = known.arguments.get(name)
        if argument is None:
            near = difflib.get_close_matches(str(given), known.arguments, n=1)
            way_out = f"did you mean {near[0]}?" if near else "remove it"
            raise ApiError(
                f"{key}: {class_name} of TensorRT-LLM {VERSION} has no argument {given!r} "
                f"(value {value!r}); {way_out}",
                key=key,
            )
        _check_value(class_name, argument, key, value)
    for argument in known.arguments.values():
        if argument.required and argument.name not in values:
            key = f"{where}.{argument.name}" if where else argument.name
            raise ApiError(
                f"{key}: {class_name} of TensorRT-LLM {VERSION} needs it; "
                f"set it to {describe(argument.type)}",
                key=key,
            )


def _check_value(class_name: str, argument: Argument, key: str, value: Any) -> None:
    nested = argument.type.config
    if nested is not None and isinstance(value, Mapping):
        check_arguments(nested, value, where=key)
        return
    if not matches(argument.type, value):
        raise ApiError(
            f"{key}: {value!r} is not what {class_name} of TensorRT-LLM {VERSION} takes; "
            f"set it to {describe(argument.type)}",
            key=key,
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    limit = _broken_limit(argument, value)
    if limit:
        raise ApiError(
            f"{key}: {value!r} is out of the range of {class_name} of TensorRT-LLM {VERSION}; "
            f"set it to {limit}",
            key=key,
        )


def _broken_limit(argument: Argument, value: float) -> str:
    if argument.minimum is not None and value < argument.minimum:
        return f"at least {argument.minimum:g}"
    if argument.maximum is not None and value > argument.maximum:
        return f"at most {argument.maximum:g}"
    if argument.above is not None and value <= argument.above:
        return f"more than {argument.above:g}"
    return ""
