"""The NVIDIA GPUs of this machine."""

from __future__ import annotations

from gemma4_runtime.trtllm.nvml import Driver

from gemma4_serve.doctor.report import Result

__all__ = ["check_gpus"]

_LEAST_CUDA = 13
"""TensorRT-LLM 1.3 is built for CUDA 13 (its release images)."""


def check_gpus(driver: Driver | str) -> list[Result]:
    """Check driver, CUDA and every device. No GPU is no failure: the CPU runtime needs none."""
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
