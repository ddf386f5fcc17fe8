"""Where quantizing can run: it holds the whole model, in host or in GPU memory."""

from __future__ import annotations

import os

from gemma4_runtime.machine import available_memory
from gemma4_runtime.trtllm.nvml import read_driver

from gemma4_build.errors import TooLittleMemoryError

__all__ = ["choose_device", "free_gpu_memory"]


def free_gpu_memory() -> list[int]:
    """Free bytes of each NVIDIA GPU that CUDA would show, in its order; empty where there is
    none."""
    driver = read_driver()
    if isinstance(driver, str):
        return []
    return [device.memory_free for device in driver.visible(os.environ)]


def choose_device(asked: str, needed: int) -> str:
    """ "cuda:N" or "cpu" with ``needed`` bytes free. ``asked`` is auto, cpu or cuda; auto takes a
    GPU that is large enough. Raises :class:`TooLittleMemoryError` with the numbers."""
    gpus = [] if asked == "cpu" else free_gpu_memory()
    best = max(range(len(gpus)), key=gpus.__getitem__, default=None)
    if best is not None and gpus[best] >= needed:
        return f"cuda:{best}"
    if asked == "cuda":
        found = f"{_gib(gpus[best])} is free on the best one" if best is not None else "none found"
        raise TooLittleMemoryError(
            f"--device cuda: quantizing needs {_gib(needed)} of GPU memory, {found}; use a machine "
            "with an H200 or B200, --device cpu, or a checkpoint that is quantized already"
        )
    free = available_memory()
    if free >= needed:
        return "cpu"
    raise TooLittleMemoryError(
        f"quantizing needs {_gib(needed)} of memory, {_gib(free)} is free here and no GPU has "
        "enough; use a machine with more memory or with an H200 or B200 (--device cuda), or build "
        "from a checkpoint that is quantized already (nvidia/Gemma-4-26B-A4B-NVFP4)"
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
