"""Where quantizing can run: a layer at a time has to fit, into host or into GPU memory."""

from __future__ import annotations

import os

from gemma4_runtime.machine import available_memory
from gemma4_runtime.trtllm.nvml import read_driver

from gemma4_build.errors import TooLittleMemoryError
from gemma4_build.trtllm.layerwise.need import QuantizeNeed

__all__ = ["choose_device", "free_gpu_memory"]

_WAY_OUT = (
    "use fewer or shorter texts (--calibration-samples, --calibration-length), a machine with more "
    "memory, or a checkpoint that is quantized already (nvidia/Gemma-4-26B-A4B-NVFP4)"
)


def free_gpu_memory() -> list[int]:
    """Return the free bytes of each NVIDIA GPU that CUDA would show, in its order; empty where
    there is none."""
    driver = read_driver()
    if isinstance(driver, str):
        return []
    return [device.memory_free for device in driver.visible(os.environ)]


def choose_device(asked: str, need: QuantizeNeed) -> str:
    """Return "cuda:N" or "cpu" with as many bytes free as it takes. ``asked`` is auto, cpu or cuda;
    auto takes a GPU that is large enough. Raises :class:`TooLittleMemoryError` with the numbers."""
    gpus = [] if asked == "cpu" else free_gpu_memory()
    best = max(range(len(gpus)), key=gpus.__getitem__, default=None)
    free = available_memory()
    if best is not None and gpus[best] >= need.gpu and free >= need.beside_gpu:
        return f"cuda:{best}"
    if asked == "cuda":
        found = f"{_gib(gpus[best])} is free on the best one" if best is not None else "none found"
        raise TooLittleMemoryError(
            f"--device cuda: quantizing needs {_gib(need.gpu)} of GPU memory"
            f"{_parts(need, need.gpu_attention)}, {found}, and {_gib(need.beside_gpu)} of host "
            f"memory, {_gib(free)} is free; use --device cpu, or {_WAY_OUT}"
        )
    if free >= need.host:
        return "cpu"
    raise TooLittleMemoryError(
        f"quantizing needs {_gib(need.host)} of memory{_parts(need, need.attention)}, "
        f"{_gib(free)} is free here and no GPU has enough; {_WAY_OUT}"
    )


def _parts(need: QuantizeNeed, attention: int) -> str:
    return (
        f" (a layer {_gib(need.layer)}, activations {_gib(need.states)}, attention over the "
        f"longest sequence of texts {_gib(attention)})"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
