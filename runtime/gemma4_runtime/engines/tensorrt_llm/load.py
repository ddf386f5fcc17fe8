"""Load TensorRT-LLM in a worker process: environment, version, arguments."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from gemma4_runtime.trtllm import llm_args

__all__ = ["StartError", "clean_environment", "load"]

_LAUNCHER = ("OMPI_", "PMIX_", "PMI_", "PRTE_")
"""Variables by which an MPI launcher marks its processes. Inherited, they make the MPI that
TensorRT-LLM starts take itself for a part of that job."""


class StartError(Exception):
    """TensorRT-LLM cannot be started; the text says why and what to do."""


def clean_environment(env: MutableMapping[str, str]) -> None:
    """Remove what an MPI launcher left, switch usage statistics off, number GPUs as the driver
    does."""
    for name in [name for name in env if name.startswith(_LAUNCHER)]:
        del env[name]
    env.setdefault("TRTLLM_NO_USAGE_STATS", "1")
    env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def load(engine_dir: Path, *, version: str, any_version: bool) -> tuple[Any, Any]:
    """Return the module tensorrt_llm and a loaded ``LLM``. Raises :class:`StartError`."""
    try:
        args = llm_args.resolve(llm_args.read(engine_dir / llm_args.FILE_NAME), engine_dir)
    except llm_args.LlmArgsError as error:
        raise StartError(str(error)) from None
    clean_environment(os.environ)
    try:
        import tensorrt_llm
        import tensorrt_llm.llmapi
    except Exception as error:
        raise StartError(
            f"tensorrt_llm cannot be imported ({type(error).__name__}: {error}); run in our image, "
            f"or install TensorRT-LLM {version}"
        ) from error
    found = str(tensorrt_llm.__version__)
    if found != version and not any_version:
        raise StartError(
            f"TensorRT-LLM is {found}, the engine was built for {version}; install that version, "
            "build again with this one, or set GEMMA4_TRTLLM_ANY_VERSION=1 to try"
        )
    try:
        return tensorrt_llm, tensorrt_llm.LLM(**args)
    except Exception as error:
        raise StartError(
            f"TensorRT-LLM cannot load {args['model']}: {type(error).__name__}: {error}"
        ) from error
