"""The NVIDIA GPUs of this machine, through NVML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gemma4_runtime.trtllm.gpus import Gpu, gpu_of_device

from gemma4_serve.doctor.report import Result

__all__ = ["Device", "Driver", "check_gpus", "read_driver"]

_LEAST_CUDA = 13
"""TensorRT-LLM 1.3 is built for CUDA 13 (its release images)."""


@dataclass(frozen=True, slots=True)
class Device:
    """One GPU; bytes."""

    index: int
    gpu: Gpu
    memory_total: int
    memory_free: int


@dataclass(frozen=True, slots=True)
class Driver:
    """``cuda`` is the newest CUDA version that the driver runs, as (major, minor)."""

    version: str
    cuda: tuple[int, int]
    devices: tuple[Device, ...]


def read_driver() -> Driver | str:
    """What NVML says, or why it says nothing."""
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
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    name = _text(nvml.nvmlDeviceGetName(handle))
    gpu = gpu_of_device(name, major * 10 + minor, memory.total)
    return Device(index, gpu, memory.total, memory.free)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def check_gpus(driver: Driver | str) -> list[Result]:
    """Driver, CUDA and every device. No GPU is no failure: the CPU runtime needs none."""
    if isinstance(driver, str):
        return [
            Result(
                "driver", "info", f"no NVIDIA GPU in reach: {driver}",
                "the CPU runtime works; for TensorRT-LLM use a GPU machine, in a container "
                "with --gpus all",
            )
        ]  # fmt: skip
    major, minor = driver.cuda
    old = major < _LEAST_CUDA
    results = [
        Result("driver", "ok", driver.version),
        Result(
            "CUDA", "fail" if old else "ok", f"{major}.{minor} at most",
            f"TensorRT-LLM 1.3 needs CUDA {_LEAST_CUDA}: update the driver" if old else "",
        ),
    ]  # fmt: skip
    for device in driver.devices:
        results.append(
            Result(
                f"GPU {device.index}",
                "ok",
                f"{device.gpu.product}, SM{device.gpu.sm}, "
                f"{device.memory_free / 2**30:.1f} of {device.memory_total / 2**30:.1f} GiB free",
            )
        )
    if not driver.devices:
        results.append(Result("GPUs", "warn", "the driver sees none", "check nvidia-smi"))
    return results
