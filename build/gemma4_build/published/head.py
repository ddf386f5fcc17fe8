"""The head of a GGUF file: its keys, and where its tensors lie.

The ``gguf`` library maps the whole file, makes two arrays of each of 800,000 strings, and takes the
counts of a damaged file for true. The format: https://github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gguf import GGUFValueType

from gemma4_build.errors import BadCheckpointError, UnsupportedModelError
from gemma4_build.gguf_tensors import ALIGNMENT
from gemma4_build.published.cursor import AGAIN, Cursor
from gemma4_build.published.layout import StoredBlocks, read_layout
from gemma4_build.shards import Shard

__all__ = ["TOKENS", "GgufHead", "read_head"]

TOKENS = "tokenizer.ggml.tokens"
"""The key of the vocabulary: the texts of the tokens by id."""

_VERSION = 3
"""Of the format; llama.cpp has written no other since 2023."""
_MOST_KEYS = 4096
"""Published files have some 50."""
_MOST_NAME = 65_535
"""Bytes of a key."""
_MOST_TEXT = 4 << 20
"""Bytes of a string; chat templates have some 20,000."""
_MOST_KEPT = 1024
"""Numbers of an array that is kept: hyper-parameters by layer. Longer ones are passed over."""


@dataclass(frozen=True, slots=True)
class GgufHead:
    """``keys``: an array is a tuple, or None where it was passed over. ``data_start``: bytes before
    the tensors' data."""

    keys: Mapping[str, Any]
    tensors: tuple[StoredBlocks, ...]
    data_start: int


def read_head(file: Shard) -> GgufHead:
    """Read and check the head of an open file, and that the file has the bytes it speaks of. Raises
    the kinds of :class:`BadCheckpointError`."""
    cursor = Cursor(file)
    _check_version(file, cursor)
    tensors, count = cursor.count(), cursor.count()
    if count > _MOST_KEYS:
        raise BadCheckpointError(
            f"{file.path}: bad head ({count} keys, at most {_MOST_KEYS}); {AGAIN}"
        )
    keys: dict[str, Any] = {}
    for _ in range(count):
        name = cursor.text("a key", _MOST_NAME)
        if name in keys:
            raise BadCheckpointError(f"{file.path}: bad head (key {name} comes twice); {AGAIN}")
        keys[name] = _value(file, cursor, name)
    alignment = keys.get("general.alignment", ALIGNMENT)
    if alignment != ALIGNMENT:
        raise UnsupportedModelError(
            f"{file.path}: general.alignment is {alignment!r}, need {ALIGNMENT} as llama.cpp's own "
            "converter writes; take a file that it made"
        )
    placed, data_start = read_layout(file, cursor, tensors)
    return GgufHead(keys, placed, data_start)


def _check_version(file: Shard, cursor: Cursor) -> None:
    magic = cursor.take(4)
    if magic != b"GGUF":
        raise BadCheckpointError(
            f"{file.path}: not a GGUF file (it begins with {magic!r}); {AGAIN}"
        )
    raw = cursor.take(4)
    version = int.from_bytes(raw, "little")
    if version == _VERSION:
        return
    if int.from_bytes(raw, "big") in range(1, 256):
        raise UnsupportedModelError(
            f"{file.path}: a big-endian GGUF file; download the little-endian one"
        )
    raise UnsupportedModelError(
        f"{file.path}: GGUF version {version}, need {_VERSION}; download a newer file of the model"
    )


def _value(file: Shard, cursor: Cursor, name: str) -> Any:
    kind = cursor.kind(name)
    if kind == GGUFValueType.STRING:
        return cursor.text(name, _MOST_TEXT)
    if kind != GGUFValueType.ARRAY:
        return cursor.numbers(kind)[0]
    element, count = cursor.kind(name), cursor.count()
    if element == GGUFValueType.ARRAY:
        raise BadCheckpointError(f"{file.path}: bad head ({name} has arrays in it); {AGAIN}")
    if element == GGUFValueType.STRING:
        if name == TOKENS:
            return tuple(cursor.text(f"{name}[{n}]", _MOST_TEXT) for n in range(count))
        for _ in range(count):
            cursor.skip(cursor.count())
        return None
    if count <= _MOST_KEPT:
        return cursor.numbers(element, count)
    cursor.skip_numbers(element, count)
    return None
