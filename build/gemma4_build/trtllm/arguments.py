"""llm_args.yaml: TensorRT-LLM's arguments for a folder."""

from __future__ import annotations

from pathlib import Path

from gemma4_runtime.engine_folder import ManifestLimits
from gemma4_runtime.trtllm import llm_args

from gemma4_build.errors import BadOptionError
from gemma4_build.trtllm.assistant import FOLDER
from gemma4_build.trtllm.options import GpuOptions

__all__ = ["write_arguments"]


def write_arguments(
    path: Path, precision: str, options: GpuOptions, limits: ManifestLimits
) -> None:
    """Write the arguments. Raises :class:`BadOptionError` for what cannot be, and
    :class:`OSError`."""
    try:
        composed = llm_args.compose(
            options.require_preset(),
            precision=precision,
            tp=options.tp,
            ep=options.ep,
            attention_dp=False,
            slots=limits.slots,
            max_total_tokens=limits.max_total_tokens,
            assistant=Path(FOLDER) if options.assistant else None,
        )
        llm_args.write(path, composed)
    except ValueError as error:
        raise BadOptionError(f"{path.name}: {error}") from error
