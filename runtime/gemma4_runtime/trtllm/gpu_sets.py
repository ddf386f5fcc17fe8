"""Which GPUs an engine uses: ``0,1;2,3`` is two copies of the model on two GPUs each."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from gemma4_runtime.trtllm.nvml import read_driver

__all__ = ["GpuError", "check_visible", "first_gpu_name", "parse_gpu_sets", "visible_gpus"]

_DEVICE = re.compile(r"\d+|GPU-[0-9a-fA-F-]+|MIG-[0-9a-zA-Z/-]+")


class GpuError(ValueError):
    """The GPUs asked for are not there or do not fit the engine."""


def parse_gpu_sets(text: str, *, per_set: int) -> tuple[str, ...]:
    """Parse the values of CUDA_VISIBLE_DEVICES, one for each copy. ``per_set`` is
    tensor_parallel_size. Raises :class:`GpuError`."""
    sets = tuple(
        tuple(name.strip() for name in part.split(",")) for part in text.strip().split(";")
    )
    for devices in sets:
        for name in devices:
            if not _DEVICE.fullmatch(name):
                raise GpuError(
                    f"--gpu-device-ids {text!r}: {name!r} is no GPU; give indices or UUIDs, "
                    "commas inside a copy of the model and semicolons between copies, as in 0,1;2,3"
                )
        if len(devices) != per_set:
            raise GpuError(
                f"--gpu-device-ids {text!r}: {','.join(devices)!r} names {len(devices)} GPUs, the "
                f"engine runs on {per_set} (tensor_parallel_size); name that many in each set"
            )
    flat = [name for devices in sets for name in devices]
    doubled = {name for name in flat if flat.count(name) > 1}
    if doubled:
        raise GpuError(
            f"--gpu-device-ids {text!r}: {min(doubled)!r} is named twice; a GPU holds one copy"
        )
    return tuple(",".join(devices) for devices in sets)


def visible_gpus(env: Mapping[str, str] | None = None) -> int | None:
    """Return how many GPUs CUDA would show, None where that cannot be told (no driver library)."""
    env = os.environ if env is None else env
    shown = env.get("CUDA_VISIBLE_DEVICES")
    if shown is not None:
        return len([name for name in shown.split(",") if name.strip() not in ("", "-1")])
    driver = read_driver()
    return None if isinstance(driver, str) else len(driver.devices)


def first_gpu_name(devices: str | None) -> str:
    """Return the driver's name of the first of ``devices`` (a CUDA_VISIBLE_DEVICES), "" where it
    cannot be told."""
    driver = read_driver()
    if isinstance(driver, str):
        return ""
    env = os.environ if devices is None else {"CUDA_VISIBLE_DEVICES": devices}
    return next((device.gpu.product for device in driver.visible(env)), "")


def check_visible(needed: int, count: int | None) -> None:
    """Raise :class:`GpuError` when fewer than ``needed`` GPUs are visible; unknown passes."""
    if count is not None and count < needed:
        raise GpuError(
            f"the engine runs on {needed} GPUs (tensor_parallel_size) and {count} are visible; "
            "give the server more (CUDA_VISIBLE_DEVICES, the container's GPUs), or build the "
            "engine again for fewer"
        )
