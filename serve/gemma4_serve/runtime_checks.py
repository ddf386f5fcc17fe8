"""What a runtime needs, checked before a server is started."""

from __future__ import annotations

import ctypes

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.needs import explain_library
from gemma4_runtime.trtllm.gpu_sets import GpuError
from gemma4_runtime.trtllm.llm_args import LlmArgsError
from gemma4_runtime.trtllm.start_plan import make_plan

from gemma4_serve.errors import ServeError
from gemma4_serve.process import ServerOptions

__all__ = ["check_runtime"]

_OPENMP = "libgomp.so.1"
"""The only library of the system that the xllamacpp wheel needs beside those of Triton."""


def check_runtime(options: ServerOptions, manifest: Manifest) -> None:
    """Raise :class:`ServeError` for options that the runtime does not have, for a shared library
    that llama.cpp lacks, and for arguments and GPUs with which TensorRT-LLM could not start."""
    if manifest.runtime == "llama_cpp":
        _check_openmp()
    if manifest.runtime != "tensorrt_llm":
        if options.gpu_device_ids is not None:
            raise ServeError(
                f"--gpu-device-ids: the engine's runtime is {manifest.runtime}, which uses no GPU; "
                "leave it out"
            )
        return
    if options.threads is not None:
        raise ServeError("--threads: TensorRT-LLM computes on GPUs; leave it out")
    try:
        make_plan(
            options.engine,
            slots=options.slots or manifest.limits.slots,
            max_total_tokens=manifest.limits.max_total_tokens,
            gpu_device_ids=options.gpu_device_ids,
        )
    except (LlmArgsError, GpuError) as error:
        raise ServeError(str(error)) from None


def _check_openmp() -> None:
    try:
        ctypes.CDLL(_OPENMP)
    except OSError as error:
        raise ServeError(
            f"llama.cpp cannot be loaded: {error}\n{explain_library(_OPENMP)}"
        ) from None
