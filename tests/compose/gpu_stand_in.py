"""A copy of the project whose GPU services run on this machine: llama.cpp in place of TensorRT-LLM,
without the device and without memory that may be pinned."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from images import ROOT

__all__ = ["write"]


def write(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Write it to ``folder``; the variables to run it with."""
    shutil.copy(ROOT / "docker-compose.yml", folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    file = folder / "deploy/compose/triton.gpu.yml"
    found = yaml.safe_load(file.read_text())
    for service in found["services"].values():
        del service["ulimits"], service["deploy"]
    for service in ("engine-build", "triton"):
        found["services"][service]["command"] = _on_cpu(found["services"][service]["command"])
    file.write_text(yaml.safe_dump(found))
    return {
        **env, "GPU": "h100", "IMAGE": env["CPU_IMAGE"], "SHM_SIZE": "1g", "TMP_SIZE": "1g",
        "CHECKPOINT": str(ROOT / "demo/checkpoint"), "PRECISION": "f32", "SLOTS": "4",
        "MAX_TOTAL_TOKENS": "2048",
    }  # fmt: skip


def _on_cpu(command: list[str]) -> list[str]:
    """What llama.cpp has no use for is left out, with its value."""
    kept, words = [], iter(command)
    for word in words:
        if word in ("--gpu", "--tp", "--ep", "--preset"):
            next(words)
        else:
            kept.append("llama_cpp" if word == "tensorrt_llm" else word)
    return [*kept, "--allow-remote-embedded-triton"] if "serve" in kept else kept
