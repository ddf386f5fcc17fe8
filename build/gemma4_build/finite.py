"""Find weights that are no numbers. One NaN makes every answer NaN."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType

from gemma4_build.block_scales import floats_of
from gemma4_build.errors import NotFiniteError
from gemma4_build.progress import Reporter
from gemma4_build.shards import StoredTensor

__all__ = ["check_blocks", "check_converted", "check_finite", "check_slice"]

_EXPONENT: dict[str, tuple[Any, int]] = {
    "BF16": (np.uint16, 0x7F80),
    "F16": (np.uint16, 0x7C00),
    "F32": (np.uint32, 0x7F80_0000),
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F8_E4M3": (np.uint8, 0x7F),
    "F8_E5M2": (np.uint8, 0x7C),
}
"""Bits that are all set in NaN and infinity (E4M3 has no infinity, and one NaN)."""

_STEP = 1 << 17
"""Elements at a time, so that the masked copy stays in the processor's cache."""

_PIECE = 8 << 20
"""Bytes that a thread reads at once."""


def check_slice(tensor: StoredTensor, raw: npt.NDArray[np.uint8], first: int) -> None:
    """Raise :class:`NotFiniteError` with name and place if ``raw``, which holds elements of
    ``tensor`` from element ``first`` on, has a NaN or an infinity."""
    at = _first_bad(raw, tensor.dtype)
    if at is not None:
        index = tuple(map(int, np.unravel_index(first + at, tensor.shape or (1,))))
        raise NotFiniteError(
            f"{tensor.shard.path}: {tensor.name}{list(index)} is NaN or infinite; the checkpoint "
            "is damaged or its training diverged: download it again or take another"
        )


def check_converted(
    tensor: StoredTensor, data: npt.NDArray[np.uint8], kind: GGMLQuantizationType
) -> None:
    """Raise :class:`NotFiniteError` if finite weights became infinite as ``kind``: F16 scales end
    at 65504, BF16 below float32's largest number."""
    if kind.name in (tensor.dtype, "F32"):
        return
    if _first_bad(*floats_of(data, kind)) is not None:
        raise NotFiniteError(
            f"{tensor.shard.path}: {tensor.name} has weights too large for {kind.name}; the "
            "checkpoint is damaged, or take --precision f32"
        )


def check_blocks(
    path: Path, name: str, data: npt.NDArray[np.uint8], kind: GGMLQuantizationType
) -> None:
    """Raise :class:`NotFiniteError` if ``data``, whole blocks of tensor ``name`` of the file
    ``path``, has a weight or a scale that is no number."""
    values, dtype = floats_of(data, kind)
    if len(values) and _first_bad(values, dtype) is not None:
        what = "a weight" if values is data else "a scale of its blocks"
        raise NotFiniteError(
            f"{path}: {what} of {name} ({kind.name}) is NaN or infinite; the file is damaged: "
            "download it again or take another"
        )


def check_finite(
    tensors: Iterable[StoredTensor], reporter: Reporter, threads: int | None = None
) -> None:
    """Read every floating-point tensor once. Raises :class:`NotFiniteError` and the kinds of
    :class:`~gemma4_build.errors.BadCheckpointError`. ``threads`` None: as many as there are cores.
    """
    wanted = [t for t in tensors if t.dtype in _EXPONENT and t.size]
    pieces = (
        (tensor, first, min(step, tensor.size - first))
        for tensor in wanted
        for step in (_PIECE * tensor.size // tensor.read_size,)
        for first in range(0, tensor.size, step)
    )
    threads = threads or len(os.sched_getaffinity(0))
    pending: deque[Future[int]] = deque()
    total = sum(tensor.read_size for tensor in wanted)
    with reporter.bytes("Checking", total=total) as tick, ThreadPoolExecutor(threads) as pool:
        try:
            pending.extend(pool.submit(_check, *p) for p in islice(pieces, 2 * threads))
            while pending:
                tick(pending.popleft().result())
                pending.extend(pool.submit(_check, *p) for p in islice(pieces, 1))
        finally:
            pool.shutdown(cancel_futures=True)


def _check(tensor: StoredTensor, first: int, count: int) -> int:
    raw = tensor.read(first, count)
    check_slice(tensor, raw, first)
    return raw.nbytes


def _first_bad(raw: npt.NDArray[np.uint8], dtype: str) -> int | None:
    """Return the place of the first element that is not finite."""
    word, bits = _EXPONENT[dtype]
    values, mask = raw.view(word), word(bits)
    masked = np.empty(min(_STEP, len(values)), dtype=word)
    for first in range(0, len(values), _STEP):
        piece = values[first : first + _STEP]
        found = np.bitwise_and(piece, mask, out=masked[: len(piece)])
        if found.max() == mask:
            return first + int((found == mask).argmax())
    return None
