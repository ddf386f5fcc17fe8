"""Stream a checkpoint into one GGUF file, slice by slice, in constant memory; resumable.

A few threads read and convert slices ahead; this thread writes and hashes them in order. Every
gigabyte the written part is flushed to disk and noted in a state file with its hash, from which an
interrupted conversion goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.finite import check_converted, check_slice
from gemma4_build.gguf_tensors import PlannedTensor, rope_factors
from gemma4_build.progress import Reporter
from gemma4_build.quantize import convert_slice

__all__ = ["ConvertedFile", "convert_tensors", "resume_point"]

_SLICE = 4 << 20
"""Elements per slice: a multiple of every block size; about 30 MB with its float32 copy."""

_NOTE_EVERY = 1 << 30
"""Bytes after which progress is made durable: an interrupted build goes on from there."""
_AHEAD = 12
"""Converted slices that may wait while a gigabyte is flushed to disk (at most 16 MB each)."""

_COPY = 16 << 20
"""Bytes to read at once."""


class _Hash(Protocol):
    def update(self, data: Any, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """``read_bytes`` and ``written_bytes`` are of this run only."""

    size: int
    sha256: str
    read_bytes: int
    written_bytes: int


def convert_tensors(
    checkpoint: Checkpoint,
    tensors: list[PlannedTensor],
    *,
    path: Path,
    header_size: int,
    state_path: Path,
    reporter: Reporter,
    threads: int,
) -> ConvertedFile:
    """Append the tensors to ``path``, which holds the header and perhaps a part of them.

    Raises :class:`OSError` (disk) and the kinds of :class:`BadCheckpointError` (source).
    """
    first, start, digest = _restore(path, header_size, tensors, state_path)
    total = sum(_source_bytes(checkpoint, t) for t in tensors)
    before = sum(_source_bytes(checkpoint, t) for t in tensors[:first])
    with (
        path.open("r+b", buffering=0) as file,
        ThreadPoolExecutor(threads, thread_name_prefix="convert") as pool,
        reporter.bytes("Converting", total=total, done=before) as tick,
    ):
        file.seek(start)
        file.truncate()
        noted = start
        for index in range(first, len(tensors)):
            tensor = tensors[index]
            for source_bytes, data in _slices(checkpoint, tensor, pool, ahead=threads + _AHEAD):
                _write(file.fileno(), digest, data.data)
                tick(source_bytes)
            _write(
                file.fileno(), digest, memoryview(bytes(tensor.end - tensor.offset - tensor.size))
            )
            if file.tell() - noted >= _NOTE_EVERY or index == len(tensors) - 1:
                os.fdatasync(file.fileno())
                noted = file.tell()
                _note(state_path, index + 1, noted, digest.hexdigest())
        size = file.tell()
    return ConvertedFile(size, digest.hexdigest(), total - before, size - start)


def resume_point(state_path: Path) -> int:
    """Return the bytes of the file that an earlier run left behind; 0 for a fresh start."""
    state = _load_state(state_path)
    return 0 if state is None else int(state["bytes"])


def _source_bytes(checkpoint: Checkpoint, tensor: PlannedTensor) -> int:
    if tensor.source is None:
        return 0
    stored = checkpoint.tensors[tensor.source]
    return stored.read_size


def _slices(
    checkpoint: Checkpoint, tensor: PlannedTensor, pool: ThreadPoolExecutor, *, ahead: int
) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Give (source bytes, converted bytes) of each slice in order; ``ahead`` are in the works."""
    if tensor.source is None:
        yield 0, rope_factors(checkpoint.spec).view(np.uint8)
        return
    stored = checkpoint.tensors[tensor.source]

    def job(first: int) -> tuple[int, npt.NDArray[np.uint8]]:
        raw = stored.read(first, min(_SLICE, stored.size - first))
        check_slice(stored, raw, first)
        with np.errstate(over="ignore"):  # which the next check names
            data = convert_slice(raw, stored.dtype, tensor.kind)
        check_converted(stored, data, tensor.kind)
        return raw.nbytes, data

    pending: deque[Future[tuple[int, npt.NDArray[np.uint8]]]] = deque()
    for first in range(0, stored.size, _SLICE):
        pending.append(pool.submit(job, first))
        if len(pending) > ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _write(descriptor: int, digest: _Hash, data: memoryview) -> None:
    done = 0
    while done < len(data):
        done += os.write(descriptor, data[done:])
    digest.update(data)


def _note(state_path: Path, done: int, size: int, sha256: str) -> None:
    temporary = state_path.with_suffix(".new")
    temporary.write_text(json.dumps({"tensors": done, "bytes": size, "sha256": sha256}))
    temporary.replace(state_path)


def _load_state(state_path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(state_path.read_bytes())
        return {"tensors": int(state["tensors"]), "bytes": int(state["bytes"]), **state}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _restore(
    path: Path, header_size: int, tensors: list[PlannedTensor], state_path: Path
) -> tuple[int, int, _Hash]:
    """Return the first tensor to do, where it goes, and the hash of the file before it."""
    state = _load_state(state_path)
    if state is not None:
        done = state["tensors"]
        size = header_size + (tensors[done - 1].end if 0 < done <= len(tensors) else -1)
        if size == state["bytes"] and path.stat().st_size >= size:
            digest = _hash_prefix(path, size)
            if digest.hexdigest() == state.get("sha256"):
                return done, size, digest
    return 0, header_size, _hash_prefix(path, header_size)


def _hash_prefix(path: Path, size: int) -> _Hash:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size:
            data = file.read(min(size, _COPY))
            digest.update(data)
            size -= len(data)
    return digest
