"""A checkpoint with wider MLPs: gate and up get zero rows, down gets zero columns. Streamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gemma4_build.checkpoint import Checkpoint
from gemma4_build.progress import Reporter
from gemma4_build.safetensors_file import header
from gemma4_build.shards import Shard, StoredTensor
from gemma4_build.tensor_table import PREFIX
from gemma4_build.trtllm.hf_config import old_style, read_json, write_json
from gemma4_build.trtllm.widths import Widths

__all__ = ["write_padded"]

INDEX = "model.safetensors.index.json"
_STEP = 8 << 20
"""Elements at a time."""

Bytes = npt.NDArray[np.uint8]


def write_padded(checkpoint: Checkpoint, to: Widths, out: Path, reporter: Reporter) -> None:
    """Write the shards, index and config.json of ``checkpoint`` with the widths ``to``.

    Memory stays at a few dozen MB and one expert. Raises :class:`OSError` and the kinds of
    :class:`gemma4_build.errors.BadCheckpointError`.
    """
    total = sum(t.read_size for t in checkpoint.tensors.values())
    with reporter.bytes("Padding", total=total) as tick:
        for shard in checkpoint.shards:
            with (out / shard.path.name).open("wb") as file:
                file.write(_header(shard, to))
                for tensor in _by_offset(shard):
                    for piece in _pieces(tensor, to):
                        file.write(piece.data)
                    tick(tensor.read_size)
    if (checkpoint.folder / INDEX).is_file():
        index = read_json(checkpoint.folder / INDEX)
        sizes = (_size(t, to) for t in checkpoint.tensors.values())
        index["metadata"] = {"total_size": sum(sizes)}
        write_json(out / INDEX, index)
    config = read_json(checkpoint.folder / "config.json")
    write_json(out / "config.json", old_style(config, to.apply(checkpoint.spec)))


def _by_offset(shard: Shard) -> list[StoredTensor]:
    return sorted(shard.tensors.values(), key=lambda tensor: tensor.offset)


def _shape(tensor: StoredTensor, to: Widths) -> tuple[int, ...]:
    name, shape = tensor.name, tensor.shape
    if not name.startswith(PREFIX):
        return shape
    if name.endswith("experts.gate_up_proj"):
        return (shape[0], 2 * to.moe, shape[2])
    if name.endswith("experts.down_proj"):
        return (*shape[:2], to.moe)
    if name.endswith(("mlp.gate_proj.weight", "mlp.up_proj.weight")):
        return (to.dense, shape[1])
    if name.endswith("mlp.down_proj.weight"):
        return (shape[0], to.dense)
    return shape


def _size(tensor: StoredTensor, to: Widths) -> int:
    item = tensor.read_size // max(1, tensor.size)
    return int(np.prod(_shape(tensor, to))) * item


def _header(shard: Shard, to: Widths) -> bytes:
    tensors = _by_offset(shard)
    return header((t.name, t.dtype, _shape(t, to), _size(t, to)) for t in tensors)


def _pieces(tensor: StoredTensor, to: Widths) -> Iterator[Bytes]:
    """Give the padded tensor's bytes."""
    shape, wide = tensor.shape, _shape(tensor, to)
    if wide == shape:
        for first in range(0, tensor.size, _STEP):
            yield tensor.read(first, min(_STEP, tensor.size - first))
        return
    item = tensor.read_size // tensor.size
    halves = 2 if tensor.name.endswith("experts.gate_up_proj") else 1
    rows, inner = shape[-2] // halves, shape[-1]
    for block in range(tensor.size // (rows * inner)):
        raw = tensor.read(block * rows * inner, rows * inner).reshape(rows, inner * item)
        more = (wide[-2] // halves - rows, (wide[-1] - inner) * item)
        yield np.pad(raw, ((0, more[0]), (0, more[1])))
