"""The tensors that the head of a GGUF file names: where each lies, and whether the file has it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

from gemma4_build.errors import BadCheckpointError, MisshapenTensorError, TruncatedFileError
from gemma4_build.gguf_tensors import ALIGNMENT
from gemma4_build.precision import stored_bytes
from gemma4_build.published.cursor import AGAIN, Cursor
from gemma4_build.shards import Shard

__all__ = ["StoredBlocks", "read_layout"]

_MOST_TENSORS = 65_536
"""26B-A4B has 658."""
_MOST_NAME = 64
"""Bytes of a tensor's name (GGML_MAX_NAME)."""
_MOST_DIMENSIONS = 4
"""Of a tensor (GGML_MAX_DIMS)."""
_MOST_ELEMENTS = 1 << 40
"""Of a tensor, beyond which a head is taken for damaged; 26B-A4B has 5e8 in one."""


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """A tensor of the file. ``shape`` is row-major, the file's dimensions reversed. ``offset``
    counts from the start of the tensors' data; ``size`` is without padding."""

    name: str
    shape: tuple[int, ...]
    kind: GGMLQuantizationType
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Where the next tensor begins."""
        return self.offset + self.size + -self.size % ALIGNMENT


def read_layout(file: Shard, cursor: Cursor, count: int) -> tuple[tuple[StoredBlocks, ...], int]:
    """Return the ``count`` tensors that ``cursor`` stands before, and where their data begins in
    the file. Raises the kinds of :class:`BadCheckpointError`: they have to lie one after another
    and end where the file does."""
    if not 0 < count <= _MOST_TENSORS:
        raise BadCheckpointError(f"{file.path}: bad head ({count} tensors); {AGAIN}")
    found: dict[str, StoredBlocks] = {}
    end = 0
    for _ in range(count):
        tensor = _tensor(file, cursor)
        if tensor.name in found or tensor.offset != end:
            raise BadCheckpointError(
                f"{file.path}: bad head ({tensor.name} at {tensor.offset}, after {end} bytes of "
                f"{len(found)} other tensors); {AGAIN}"
            )
        found[tensor.name] = tensor
        end = tensor.end
    data_start = cursor.at + -cursor.at % ALIGNMENT
    _check_size(file, tensor, data_start)
    return tuple(found.values()), data_start


def _tensor(file: Shard, cursor: Cursor) -> StoredBlocks:
    name = cursor.text("the name of a tensor", _MOST_NAME)
    dimensions = int.from_bytes(cursor.take(4), "little")
    if not 0 < dimensions <= _MOST_DIMENSIONS:
        raise BadCheckpointError(
            f"{file.path}: bad head ({name} has {dimensions} dimensions); {AGAIN}"
        )
    shape = tuple(reversed([cursor.count() for _ in range(dimensions)]))
    number = int.from_bytes(cursor.take(4), "little")
    offset = cursor.count()
    if not 0 < math.prod(shape) <= _MOST_ELEMENTS:
        raise BadCheckpointError(f"{file.path}: bad head ({name} is {list(shape)}); {AGAIN}")
    try:
        kind = GGMLQuantizationType(number)
    except ValueError:
        raise MisshapenTensorError(
            f"{file.path}: {name} is of quantization type {number}, which the installed gguf "
            "library does not know; take a file in Q4_0, Q8_0 or K-quants"
        ) from None
    block, _ = GGML_QUANT_SIZES[kind]
    if shape[-1] % block:
        raise MisshapenTensorError(
            f"{file.path}: {name} is {kind.name} with rows of {shape[-1]}, need a multiple of "
            f"{block}; {AGAIN}"
        )
    return StoredBlocks(name, shape, kind, offset, stored_bytes(shape, kind))


def _check_size(file: Shard, last: StoredBlocks, data_start: int) -> None:
    """Check the size of the file; the last tensor may lack its padding."""
    least, most = data_start + last.offset + last.size, data_start + last.end
    if least <= file.size <= most:
        return
    kind = "truncated" if file.size < least else "too long"
    raise TruncatedFileError(
        f"{file.path}: {kind}: {file.size} bytes, its head says {most}; {AGAIN}"
    )
