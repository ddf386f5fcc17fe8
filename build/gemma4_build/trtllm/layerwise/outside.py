"""What no recipe quantizes, copied as bf16 in pieces: embedding, last norm, vision tower."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
import numpy.typing as npt

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.safetensors_file import header
from gemma4_build.shards import StoredTensor
from gemma4_build.tensor_table import PREFIX
from gemma4_build.trtllm.layerwise.names import LAYERS

__all__ = ["copy_outside", "outside_modules", "outside_tensors"]

_STEP = 8 << 20
"""Elements at a time."""


def outside_tensors(checkpoint: Checkpoint) -> list[StoredTensor]:
    """Return the tensors outside the layers in the order of the file that :func:`copy_outside`
    writes."""
    found = [t for t in checkpoint.tensors.values() if not t.name.startswith(LAYERS)]
    return sorted(found, key=lambda tensor: tensor.name)


def outside_modules(checkpoint: Checkpoint) -> list[str]:
    """Return the modules beside the text model that have tensors: the vision tower and what belongs
    to it."""
    names = (t.name for t in outside_tensors(checkpoint) if not t.name.startswith(PREFIX))
    return sorted({".".join(name.split(".")[:2]) for name in names})


def copy_outside(checkpoint: Checkpoint, path: Path) -> None:
    """Write the tensors outside the layers to ``path``. Memory stays at a few dozen MB.

    Raises :class:`OSError` and the kinds of :class:`gemma4_build.errors.BadCheckpointError`.
    """
    tensors = outside_tensors(checkpoint)
    with path.open("wb") as file:
        file.write(header((t.name, "BF16", t.shape, 2 * t.size) for t in tensors))
        for tensor in tensors:
            for piece in _bf16(tensor):
                file.write(piece.data)


def _bf16(tensor: StoredTensor) -> Iterator[npt.NDArray[np.uint8]]:
    for first in range(0, tensor.size, _STEP):
        count = min(_STEP, tensor.size - first)
        if tensor.dtype == "BF16":
            yield tensor.read(first, count)
        else:
            rounded = tensor.read_float32(first, count).astype(ml_dtypes.bfloat16)
            yield rounded.view(np.uint8)
