"""What somebody who receives a report needs to say what it proves: which engine, built how, with
which arguments, beside which software."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.trtllm import llm_args
from gemma4_runtime.trtllm.versions import PINNED

from gemma4_serve.doctor.report import Result

__all__ = ["engine_record", "environment_record", "package_record"]

_BESIDE = (
    "flashinfer-python", "llguidance", "mpi4py", "nvidia-cutlass-dsl", "nvidia-modelopt",
    "nvidia-nccl-cu13", "safetensors", "triton", "xgrammar",
)  # fmt: skip
"""Packages that TensorRT-LLM computes, loads or guides with."""
_IMAGE = (
    "CUDA_VERSION", "CUDA_DRIVER_VERSION", "NVIDIA_PYTORCH_VERSION", "NVIDIA_TRITON_SERVER_VERSION",
    "PYTORCH_VERSION", "TENSORRT_VERSION", "TRITON_SERVER_VERSION", "TRT_LLM_GIT_COMMIT",
    "TRT_LLM_VERSION",
)  # fmt: skip
"""Variables in which NVIDIA's images say what is in them."""
_OURS = "GEMMA4_"


def package_record() -> list[Result]:
    """Return one line with the installed packages that TensorRT-LLM works with; none without."""
    found = {name: number for name in _BESIDE if (number := _version(name))}
    if not found:
        return []
    text = ", ".join(f"{name} {number}" for name, number in found.items())
    return [Result("other packages", "info", text, figures={"packages": found})]


def environment_record() -> list[Result]:
    """Return what the image says of itself, and the settings that were given by variables."""
    image = {name: os.environ[name] for name in _IMAGE if os.environ.get(name)}
    ours = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_OURS)}
    results = []
    if image:
        text = ", ".join(f"{name} {value}" for name, value in image.items())
        results.append(Result("image", "info", text, figures={"variables": image}))
    if ours:
        results.append(Result("settings", "info", ", ".join(ours), figures={"variables": ours}))
    return results


def engine_record(folder: Path, manifest: Manifest) -> list[Result]:
    """Return the manifest, and TensorRT-LLM's arguments as they are in the folder now. Hashes and
    reference answers stay out: the other findings say whether they are right."""
    data = manifest.model_dump(mode="json", exclude={"files", "first_tokens"}, exclude_none=True)
    results = [
        Result(
            "manifest", "info",
            f"built by {manifest.tool_version} on {manifest.created_at:%Y-%m-%d}, tp "
            f"{manifest.tensor_parallel}, ep {manifest.expert_parallel}, {manifest.limits.slots} "
            f"slots of {manifest.limits.max_total_tokens} tokens",
            figures={"manifest": data},
        )
    ]  # fmt: skip
    if manifest.runtime != "tensorrt_llm":
        return results
    try:
        args = llm_args.read(folder / llm_args.FILE_NAME)
    except llm_args.LlmArgsError as error:
        return [*results, Result(llm_args.FILE_NAME, "fail", str(error))]
    text = f"{len(args)} arguments, which TensorRT-LLM {PINNED} takes"
    return [*results, Result(llm_args.FILE_NAME, "ok", text, figures={"llm_args": args})]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
