"""Folders for what TensorRT-LLM compiles and tunes at its first start.

The autotuner's file carries no version check (its loader takes what it finds), so the folder's
name holds everything that makes a tuning valid.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

__all__ = ["cache_environment", "cache_folder"]


def cache_folder(root: Path, *, version: str, gpu: str, precision: str, tp: int, ep: int) -> Path:
    """Return ``root/<version>-<gpu>-<key>``; ``gpu`` is the driver's name of the device."""
    parts = {"version": version, "gpu": gpu, "precision": precision, "tp": tp, "ep": ep}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    words = "".join(c if c.isalnum() or c in "-." else "-" for c in f"{version}-{gpu}".lower())
    return root / f"{words}-{key}"


def cache_environment(folder: Path) -> dict[str, str]:
    """Return the variables by which TensorRT-LLM, FlashInfer, OpenAI's Triton and torch's inductor
    find their caches, read in autotuner.py of the first and jit/env.py of the second. Set them
    before one of them is imported.

    The last two compile to shared objects and load them from there. By default that is a folder of
    the home or of /tmp, which a container often mounts without ``exec`` and loses at its end."""
    return {
        "TLLM_AUTOTUNER_CACHE_PATH": str(folder / "autotuner.json"),
        "TRTLLM_CACHE_DIR": str(folder / "artifacts"),
        "FLASHINFER_WORKSPACE_BASE": str(folder / "flashinfer"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
    }
