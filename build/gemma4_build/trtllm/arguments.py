"""llm_args.yaml: TensorRT-LLM's arguments for a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gemma4_runtime.manifest import ManifestLimits
from gemma4_runtime.trtllm import llm_args

from gemma4_build.errors import BadOptionError
from gemma4_build.gpu_options import GpuOptions
from gemma4_build.trtllm.assistant import FOLDER

__all__ = ["compose_arguments", "write_arguments"]


def compose_arguments(
    precision: str, options: GpuOptions, limits: ManifestLimits
) -> dict[str, Any]:
    """Return the arguments of ``LLM(...)``. Raises :class:`BadOptionError` for what cannot be."""
    try:
        return llm_args.compose(
            options.require_preset(),
            precision=precision,
            tp=options.tp,
            ep=options.ep,
            attention_dp=False,
            slots=limits.slots,
            max_total_tokens=limits.max_total_tokens,
            assistant=Path(FOLDER) if options.assistant else None,
        )
    except llm_args.LlmArgsError as error:
        option = {"max_seq_len": f"--max-total-tokens {limits.max_total_tokens}: "}
        raise BadOptionError(option.get(error.key, "llm_args.yaml: ") + str(error)) from error


def write_arguments(
    path: Path, precision: str, options: GpuOptions, limits: ManifestLimits
) -> None:
    """Write the arguments. Raises :class:`BadOptionError` as :func:`compose_arguments`, and
    :class:`OSError`."""
    llm_args.write(path, compose_arguments(precision, options, limits))
