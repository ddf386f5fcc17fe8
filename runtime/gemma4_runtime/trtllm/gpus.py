"""GPU generations that people ask for: name, compute capability, memory.

Memory is the product's nominal figure in 10^9 bytes (vendor data sheets); what a driver reports is
used instead where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GPUS", "Gpu", "UnknownGpuError", "find_gpu", "gpu_of_device"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """``sm`` is the compute capability without its dot: 90 for 9.0."""

    name: str
    product: str
    sm: int
    memory_gb: int


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("a100", "A100 80GB", 80, 80),
        Gpu("l4", "L4", 89, 24),
        Gpu("l40s", "L40S", 89, 48),
        Gpu("h100", "H100 80GB", 90, 80),
        Gpu("h100-nvl", "H100 NVL", 90, 94),
        Gpu("h200", "H200", 90, 141),
        Gpu("gh200", "GH200", 90, 96),
        Gpu("b200", "B200", 100, 180),
        Gpu("gb200", "GB200", 100, 186),
        Gpu("b300", "B300", 103, 288),
        Gpu("rtx-5090", "GeForce RTX 5090", 120, 32),
        Gpu("rtx-pro-6000", "RTX PRO 6000 Blackwell", 120, 96),
        Gpu("dgx-spark", "DGX Spark GB10", 121, 128),
    )
}


class UnknownGpuError(ValueError):
    """The name is in no row of :data:`GPUS`; the text lists those that are."""


def find_gpu(name: str) -> Gpu:
    """Return the row of ``name`` (any case). Raises :class:`UnknownGpuError`."""
    gpu = GPUS.get(name.strip().lower())
    if gpu is None:
        raise UnknownGpuError(f"{name}: known are {', '.join(GPUS)}")
    return gpu


def gpu_of_device(product: str, sm: int, memory_bytes: int) -> Gpu:
    """Return what a driver reports as a row; ``product`` is the driver's name. The name is that of
    the known GPU whose memory is nearest among those of the same compute capability, and the
    figures are the device's own."""
    same = [gpu for gpu in GPUS.values() if gpu.sm == sm]
    size = round(memory_bytes / 1e9)
    name = min(same, key=lambda gpu: abs(gpu.memory_gb - size)).name if same else f"sm{sm}"
    return Gpu(name, product, sm, size)
