"""Damages the weights of a running engine, as a faulty memory module does, and mends them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGUFReader

__all__ = ["Matrix", "find_in_memory", "matrices", "overwritten"]

_MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (rw.p) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ \d+ *(.*)$")
_TOGETHER = 8
"""Rows that llama.cpp interleaves when it repacks Q4_0 for AVX2: the scales of their first blocks
lie side by side."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Of a GGUF file: where its bytes are, and of one row. ``kind``: ggml's name of its numbers."""

    name: str
    start: int
    size: int
    row: int
    kind: str


def matrices(model: Path) -> dict[str, Matrix]:
    """Return the tensors of a GGUF file by their names."""
    return {
        t.name: Matrix(
            t.name,
            int(t.data_offset),
            int(t.n_bytes),
            int(t.n_bytes) // max(1, int(np.prod(t.shape[1:]))),
            t.tensor_type.name,
        )
        for t in GGUFReader(model).tensors
    }


def find_in_memory(pid: int, model: Path, matrix: Matrix) -> int:
    """Return the address of a Q4_0 matrix in the process's own memory: as in the file, or repacked.
    Raises :class:`LookupError`."""
    with model.open("rb") as file:
        file.seek(matrix.start)
        data = file.read(matrix.size)
    repacked = b"".join(data[i * matrix.row :][:2] for i in range(_TOGETHER))
    patterns = data[:64], repacked
    process = Path("/proc", str(pid))
    with (process / "mem").open("rb", buffering=0) as memory:
        for line in (process / "maps").read_text().splitlines():
            found = _MAPPING.match(line)
            if found is None:
                continue
            start, end = (int(found[n], 16) for n in (1, 2))
            if end - start < matrix.size:
                continue
            try:
                content = os.pread(memory.fileno(), end - start, start)
            except OSError:
                continue  # a mapping that cannot be read, such as the kernel's
            for pattern in patterns:
                if (place := content.find(pattern)) >= 0:
                    return start + place
    raise LookupError(f"{matrix.name} is not in the memory of process {pid}")


@contextmanager
def overwritten(pid: int, address: int, content: bytes) -> Iterator[None]:
    """Write ``content`` into the memory of a process, and back what was there. Raises
    :class:`OSError` (of a process that may not be touched)."""
    with Path("/proc", str(pid), "mem").open("r+b", buffering=0) as memory:
        before = os.pread(memory.fileno(), len(content), address)
        assert os.pwrite(memory.fileno(), content, address) == len(content)
        yield
        assert os.pwrite(memory.fileno(), before, address) == len(before)
