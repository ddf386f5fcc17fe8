"""Put the tensors of a GGUF file behind a new head: shared with the file or copied, and looked at.

The file is read once, in pieces: for its own SHA-256, by which a user knows it from what was
published, for that of the new file, and for scales that are no numbers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gguf import GGML_QUANT_SIZES

from gemma4_build.finite import check_blocks
from gemma4_build.progress import Reporter
from gemma4_build.published.head import GgufHead
from gemma4_build.published.layout import StoredBlocks
from gemma4_build.published.share import share
from gemma4_build.shards import Shard

__all__ = ["TakenFile", "take_tensors"]

_PIECE = 8 << 20
"""Bytes to read at once, about."""


@dataclass(frozen=True, slots=True)
class TakenFile:
    """``size`` and ``sha256`` of the new file, ``source_sha256`` of the one that was read.
    ``copied``: bytes that were written anew; the others are shared."""

    size: int
    sha256: str
    source_sha256: str
    copied: int


def take_tensors(
    file: Shard,
    head: GgufHead,
    model: Path,
    *,
    reporter: Reporter,
    make_room: Callable[[int], None],
) -> TakenFile:
    """Append the tensors of ``file`` to ``model``, which holds a head of its own. ``make_room`` is
    called with the bytes to copy before they are. Raises :class:`NotFiniteError`, the kinds of
    :class:`BadCheckpointError`, :class:`OSError` (disk) and what ``make_room`` raises."""
    source, written = hashlib.sha256(), hashlib.sha256(model.read_bytes())
    start = model.stat().st_size
    shift = start - head.data_start
    size = start + head.tensors[-1].end
    with (
        model.open("r+b", buffering=0) as target,
        ThreadPoolExecutor(3, thread_name_prefix="take") as pool,
        reporter.bytes("Reading", total=file.size) as tick,
    ):
        shared = share(
            file.descriptor, target.fileno(), begin=head.data_start, end=file.size, shift=shift
        )
        copied = file.size - head.data_start - (shared[1] - shared[0])
        make_room(copied)
        for at in range(0, head.data_start, _PIECE):
            piece = file.read(at, min(_PIECE, head.data_start - at))
            source.update(piece.data)
            tick(piece.nbytes)
        for tensor, first, count in _pieces(head.tensors):
            at = head.data_start + first
            data = file.read(at, min(count, file.size - at))
            jobs = [
                pool.submit(source.update, data.data),
                pool.submit(written.update, data.data),
                pool.submit(_check, file.path, tensor, data, first),
            ]
            _write(target.fileno(), data, at, shift, shared)
            for job in jobs:
                job.result()
            tick(data.nbytes)
        written.update(bytes(size - (file.size + shift)))
        target.truncate(size)
    return TakenFile(size, written.hexdigest(), source.hexdigest(), copied)


def _pieces(tensors: tuple[StoredBlocks, ...]) -> Iterator[tuple[StoredBlocks, int, int]]:
    """Give pieces of whole blocks in order: tensor, first byte after the head, bytes. The last one
    of a tensor has its padding too."""
    for tensor in tensors:
        _, block = GGML_QUANT_SIZES[tensor.kind]
        step = _PIECE // int(block) * int(block)
        for first in range(0, tensor.size, step):
            is_last = first + step >= tensor.size
            count = tensor.end - tensor.offset - first if is_last else step
            yield tensor, tensor.offset + first, count


def _check(path: Path, tensor: StoredBlocks, data: npt.NDArray[np.uint8], first: int) -> None:
    weights = tensor.offset + tensor.size - first
    check_blocks(path, tensor.name, data[:weights], tensor.kind)


def _write(
    target: int, data: npt.NDArray[np.uint8], at: int, shift: int, shared: tuple[int, int]
) -> None:
    """Write the part of ``data``, which lies at ``at`` in the source, that is not shared."""
    end = at + len(data)
    for first, last in ((at, min(end, shared[0])), (max(at, shared[1]), end)):
        done = first
        while done < last:
            done += os.pwrite(target, data[done - at : last - at].data, done + shift)
