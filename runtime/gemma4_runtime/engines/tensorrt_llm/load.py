"""Load TensorRT-LLM in a worker process: environment, version, arguments."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from gemma4_runtime.trtllm import llm_args

__all__ = ["StartError", "clean_environment", "load"]

_JOB_VARIABLES = frozenset(
    (
        "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_NODE_RANK", "OMPI_UNIVERSE_SIZE",
        "OMPI_FIRST_RANKS", "OMPI_APP_CTX_NUM_PROCS",
        "PMIX_RANK", "PMIX_NAMESPACE", "PMIX_SERVER_URI", "PMIX_SERVER_URI2", "PMIX_SERVER_URI21",
        "PMIX_SERVER_URI3", "PMIX_SERVER_TMPDIR", "PMIX_SYSTEM_TMPDIR", "PMIX_SECURITY_MODE",
        "PMIX_GDS_MODULE", "PMIX_BFROPS_MODULE", "PMIX_PTL_MODULE", "PMIX_VERSION",
        "PMIX_HOSTNAME",
        "PMI_RANK", "PMI_SIZE", "PMI_FD", "PMI_SPAWNED", "PMI_APPNUM",
    )
)  # fmt: skip
"""Variables by which an MPI launcher marks the processes of a job. Inherited, they make the MPI
that TensorRT-LLM starts take itself for a part of that job. The names are those that the Triton
model of TensorRT-LLM removes (triton_backend/all_models/llmapi/tensorrt_llm/1/model.py, commit
044a90d2). Configuration stays: ``OMPI_MCA_*``, ``PMIX_MCA_*``, ``OMPI_ALLOW_RUN_AS_ROOT``, of which
NVIDIA's images set some."""
_JOB_PREFIXES = ("OMPI_MCA_orte_", "ORTE_")
"""Starts of names that are state of a job too, though the first looks like configuration."""


class StartError(Exception):
    """TensorRT-LLM cannot be started; the text says why and what to do."""


def clean_environment(env: MutableMapping[str, str]) -> None:
    """Remove what an MPI launcher says of its job and keep what configures MPI, switch usage
    statistics off, number GPUs as the driver does."""
    for name in [*env]:
        if name in _JOB_VARIABLES or name.startswith(_JOB_PREFIXES):
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
