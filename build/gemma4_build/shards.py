"""Read safetensors shards by explicit offsets.

The ``safetensors`` library maps whole files, which makes resident memory grow with the checkpoint,
and it refuses a bad file without saying what is wrong. The format is a u64 header length, a JSON
header and the data (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import numpy as np
import numpy.typing as npt
from gemma4_runtime import strict_json

from gemma4_build.errors import BadCheckpointError, MissingFileError, TruncatedFileError

__all__ = ["ITEM_SIZE", "Shard", "StoredTensor", "open_file", "open_shard", "to_float32"]

ITEM_SIZE = {"BF16": 2, "F16": 2, "F32": 4}
"""Bytes per element of the types that can be converted."""

_ALL_SIZES = {
    **ITEM_SIZE, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2,
    "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip
_MOST_DIMENSIONS = 8
"""Dimensions beyond which a header is taken for damaged."""
_MAX_HEADER = 32 << 20
"""Bytes of a header. Python needs up to 35 times as many to parse it. The header of a checkpoint of
26B-A4B with each expert as tensors of its own has 7 MB; the safetensors library takes 100."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where a tensor lies. ``offset`` counts from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: Shard = field(repr=False)
    offset: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def read_size(self) -> int:
        """Bytes in the file."""
        return self.size * _ALL_SIZES[self.dtype]

    def read(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.uint8]:
        """Return the raw bytes of ``count`` elements from element ``first`` on (row-major)."""
        item = _ALL_SIZES[self.dtype]
        count = self.size - first if count is None else count
        return self.shard.read(self.offset + first * item, count * item)

    def read_float32(self, first: int = 0, count: int | None = None) -> npt.NDArray[np.float32]:
        """Return the same elements as flat float32; exact for all supported types."""
        return to_float32(self.read(first, count), self.dtype)


class Shard:
    """One open file of weights. Reads are thread-safe (``pread``)."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.header_bytes = b""
        status = os.fstat(descriptor)
        self.is_file = stat.S_ISREG(status.st_mode)
        self.size = status.st_size
        self.tensors: dict[str, StoredTensor] = {}

    def read(self, offset: int, count: int) -> npt.NDArray[np.uint8]:
        """Return the bytes ``[offset, offset + count)``. Raises :class:`TruncatedFileError` at the
        end."""
        buffer = np.empty(count, dtype=np.uint8)
        view = buffer.data
        done = 0
        while done < count:
            try:
                got = os.preadv(self.descriptor, [view[done:]], offset + done)
            except OSError as error:
                raise BadCheckpointError(f"{self.path}: cannot read ({error.strerror})") from error
            if got == 0:
                raise TruncatedFileError(f"{self.path}: became shorter while reading")
            done += got
        return buffer

    def close(self) -> None:
        os.close(self.descriptor)


def to_float32(raw: npt.NDArray[np.uint8], dtype: str) -> npt.NDArray[np.float32]:
    """Convert BF16, F16 or F32 bytes to float32, exactly."""
    if dtype == "BF16":
        wide = raw.view(np.uint16).astype(np.uint32)
        wide <<= 16
        return wide.view(np.float32)
    if dtype == "F16":
        return raw.view(np.float16).astype(np.float32)
    return raw.view(np.float32)


def open_shard(path: Path) -> Shard:
    """Open and check one file: header, offsets without gaps, size.

    Raises :class:`MissingFileError`, :class:`TruncatedFileError`, :class:`BadCheckpointError`.
    """
    shard = open_file(path)
    try:
        _read_header(shard)
    except BaseException:
        shard.close()
        raise
    return shard


def open_file(path: Path) -> Shard:
    """Open a regular file to read. Raises :class:`MissingFileError`,
    :class:`BadCheckpointError`."""
    try:
        shard = Shard(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except FileNotFoundError:
        raise MissingFileError(f"{path}: not found; download the whole checkpoint") from None
    except (OSError, ValueError) as error:
        raise BadCheckpointError(
            f"{path}: cannot open ({getattr(error, 'strerror', error)}); download it again"
        ) from None
    if not shard.is_file:
        shard.close()
        raise BadCheckpointError(f"{path}: not a regular file; download it again")
    return shard


def _read_header(shard: Shard) -> None:
    if shard.size < 8:
        raise TruncatedFileError(f"{shard.path}: {shard.size} bytes; download it again")
    length = int.from_bytes(shard.read(0, 8).tobytes(), "little")
    if length > _MAX_HEADER:
        raise BadCheckpointError(
            f"{shard.path}: not a safetensors file (a header of {length} bytes, at most "
            f"{_MAX_HEADER}); download it again"
        )
    start = 8 + length
    if start > shard.size:
        raise TruncatedFileError(
            f"{shard.path}: {shard.size} bytes, but the header alone has {start}; download it again"
        )
    shard.header_bytes = shard.read(8, length).tobytes()
    try:
        header = strict_json.parse(shard.header_bytes)
        if not isinstance(header, dict):
            raise ValueError("not a JSON object")
        entries = {name: _entry(name, e) for name, e in header.items() if name != "__metadata__"}
    except ValueError as error:
        raise BadCheckpointError(f"{shard.path}: bad header ({error}); download it again") from None
    expected = 0
    for name, (dtype, shape, begin, end) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if begin != expected or end - begin != math.prod(shape) * _ALL_SIZES[dtype]:
            raise BadCheckpointError(
                f"{shard.path}: bad header (data of {name} at {begin}..{end} does not fit "
                f"{dtype} {list(shape)} after {expected}); download it again"
            )
        expected = end
        shard.tensors[name] = StoredTensor(name, dtype, shape, shard, start + begin)
    if shard.size != start + expected:
        kind = "truncated" if shard.size < start + expected else "too long"
        raise TruncatedFileError(
            f"{shard.path}: {kind}: {shard.size} bytes, its header says {start + expected}; "
            "download it again"
        )


def _entry(name: str, entry: object) -> tuple[str, tuple[int, ...], int, int]:
    """Return type, shape, begin and end. Raises :class:`ValueError`, which names the tensor."""
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape = fields.get("dtype"), fields.get("shape")
    if not isinstance(dtype, str) or dtype not in _ALL_SIZES:
        raise ValueError(f"{name}: element type {dtype!r}")
    if not _counts(shape):
        raise ValueError(f"{name}: shape {shape!r}")
    offsets = fields.get("data_offsets")
    if not _counts(offsets) or len(offsets) != 2:
        raise ValueError(f"{name}: data_offsets {offsets!r}")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _counts(value: object) -> TypeGuard[list[int]]:
    """Return whether it is a list of a few whole numbers from 0 to 2^63 - 1."""
    return (
        isinstance(value, list)
        and len(value) <= _MOST_DIMENSIONS
        and all(type(n) is int and 0 <= n < 1 << 63 for n in value)
    )
