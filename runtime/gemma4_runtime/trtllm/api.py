"""TensorRT-LLM's API as recorded in ``api/*.json``: names, types and defaults, no code.

The records let a wrong argument fail where TensorRT-LLM is not installed: when a folder is built,
when a test calls the double, before a server loads weights. Each is a JSON Schema (draft 2020-12)
that names its sources under ``x-sources``. A property that only refers to another one is another
name for it; ``deprecated`` marks what TensorRT-LLM takes and ignores.

How the configurations were read: ``tensorrt_llm/llmapi/llm_args.py`` at the commit that a record
names, the newest public one of the pinned line, class by class, with the types and limits of the
fields and of their validators. It has 117 fields in TorchLlmArgs (``sampler_type`` is removed, and
tolerated with the values that it may still have) and 40 in KvCacheConfig beside the deprecated
``sink_token_length``. Some fields may be newer than the pinned candidate. Of the speculative
configurations only MTP is recorded, and of the sparse attention none: Gemma 4 has no other.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema_rs import Registry

from gemma4_runtime.picklable import PicklableError
from gemma4_runtime.trtllm.argument import Argument
from gemma4_runtime.trtllm.versions import PINNED

__all__ = ["VERSION", "ApiClass", "ApiError", "check_arguments", "load_api"]

VERSION = PINNED
"""The version that the records are of, and that engine folders are made for."""

_FOLDER = Path(__file__).parent / "api"
_SAME = "#/properties/"
"""Starts the reference of another name for an argument."""


class ApiError(PicklableError, ValueError):
    """An argument that TensorRT-LLM does not take. ``key`` is its dotted path."""

    def __init__(self, message: str, *, key: str) -> None:
        super().__init__(message)
        self.key = key


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
    schemas = [json.loads(path.read_text("utf-8")) for path in sorted(_FOLDER.glob("*.json"))]
    registry = Registry([(schema["$id"], schema) for schema in schemas])
    return {schema["title"]: _api_class(schema, registry) for schema in schemas}


def _api_class(schema: dict[str, Any], registry: Registry) -> ApiClass:
    aliases, arguments = {}, {}
    for name, entry in schema["properties"].items():
        reference = entry.get("$ref", "")
        if reference.startswith(_SAME):
            aliases[name] = reference.removeprefix(_SAME)
        else:
            arguments[name] = Argument(
                name, entry, registry, required=name in schema.get("required", ())
            )
    return ApiClass(
        name=schema["title"],
        arguments=arguments,
        aliases=aliases,
        methods=tuple(schema.get("x-methods", ())),
        sources=tuple(schema["x-sources"]),
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
                f"set it to {argument.description()}",
                key=key,
            )


def _check_value(class_name: str, argument: Argument, key: str, value: Any) -> None:
    if argument.record is not None and isinstance(value, Mapping):
        check_arguments(argument.record, value, where=key)
        return
    if not argument.fits(value):
        raise ApiError(
            f"{key}: {value!r} is not what {class_name} of TensorRT-LLM {VERSION} takes; "
            f"set it to {argument.description()}",
            key=key,
        )
    limit = argument.broken_limit(value)
    if limit:
        raise ApiError(
            f"{key}: {value!r} is out of the range of {class_name} of TensorRT-LLM {VERSION}; "
            f"set it to {limit}",
            key=key,
        )
