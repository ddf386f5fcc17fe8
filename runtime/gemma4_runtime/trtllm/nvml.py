"""What the NVIDIA driver says of this machine's GPUs, through NVML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from gemma4_runtime.machine import available_memory
from gemma4_runtime.trtllm.gpus import Gpu, gpu_of_device

__all__ = ["Device", "Driver", "read_driver"]


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU; bytes. ``index`` is NVML's, in the order of the PCI bus."""

    index: int
    uuid: str
    gpu: Gpu
    memory_total: int
    memory_free: int


@dataclass(frozen=True, slots=True)
class Driver:
    """``cuda`` is the newest CUDA version that the driver runs, as (major, minor)."""

    version: str
    cuda: tuple[int, int]
    devices: tuple[Device, ...]

    def visible(self, env: Mapping[str, str]) -> tuple[Device, ...]:
        """Return the devices that ``CUDA_VISIBLE_DEVICES`` of ``env`` lets CUDA see, in its order;
        as in CUDA, a name that is no device hides those after it."""
        shown = env.get("CUDA_VISIBLE_DEVICES")
        if shown is None:
            return self.devices
        names = {str(device.index): device for device in self.devices}
        names |= {device.uuid: device for device in self.devices}
        found = []
        for name in shown.split(","):
            if name.strip() not in names:
                break
            found.append(names[name.strip()])
        return tuple(found)


def read_driver() -> Driver | str:
    """Return what NVML says, or why it says nothing."""
    try:
        import pynvml as nvml
    except ModuleNotFoundError:
        return "nvidia-ml-py is not installed"
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return str(error)
    try:
        cuda = nvml.nvmlSystemGetCudaDriverVersion()
        return Driver(
            version=_text(nvml.nvmlSystemGetDriverVersion()),
            cuda=(cuda // 1000, cuda % 1000 // 10),
            devices=tuple(_device(nvml, i) for i in range(nvml.nvmlDeviceGetCount())),
        )
    except nvml.NVMLError as error:
        return str(error)
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    total, free = _memory(nvml, handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    name = _text(nvml.nvmlDeviceGetName(handle))
    gpu = gpu_of_device(name, major * 10 + minor, total)
    return Device(index, _text(nvml.nvmlDeviceGetUUID(handle)), gpu, total, free)


def _memory(nvml: Any, handle: Any) -> tuple[int, int]:
    """Return all and free bytes: the host's where the GPU has none of its own, as in a GB10, of
    which NVML says that the question is not supported."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        return psutil.virtual_memory().total, available_memory()
    return int(memory.total), int(memory.free)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
