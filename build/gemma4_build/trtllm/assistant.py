"""The MTP assistant: a small draft model beside the checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

from gemma4_runtime.engine_hashes import sha256_file
from gemma4_runtime.manifest import SourceFile

from gemma4_build.checkpoint import open_tensors
from gemma4_build.errors import BadCheckpointError, BadOptionError
from gemma4_build.finite import check_finite
from gemma4_build.progress import Reporter
from gemma4_build.trtllm.copying import bring
from gemma4_build.trtllm.hf_config import read_json

__all__ = ["FOLDER", "bring_assistant", "check_assistant"]

FOLDER = "assistant"
"""In the engine folder."""

_ARCHITECTURE = "Gemma4AssistantForCausalLM"
_WAY_OUT = "give the folder of google/gemma-4-26B-A4B-it-assistant"


def check_assistant(folder: Path | None, reporter: Reporter) -> list[SourceFile]:
    """Return the assistant's files with hashes; none without an assistant. Every weight is looked
    at.

    Raises :class:`BadOptionError`."""
    if folder is None:
        return []
    try:
        config = read_json(folder / "config.json")
    except (OSError, BadCheckpointError) as error:
        raise BadOptionError(f"--assistant {folder}: no checkpoint ({error}); {_WAY_OUT}") from None
    found = config.get("architectures")
    if found != [_ARCHITECTURE]:
        raise BadOptionError(
            f"--assistant {folder}: architecture {found}, need {_ARCHITECTURE}; {_WAY_OUT}"
        )
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if not any(path.suffix == ".safetensors" for path in paths):
        raise BadOptionError(f"--assistant {folder}: has no safetensors file; {_WAY_OUT}")
    try:
        with open_tensors(folder) as (tensors, _):
            check_finite(tensors.values(), reporter)
    except BadCheckpointError as error:
        raise BadOptionError(f"--assistant {folder}: {error}; {_WAY_OUT}") from None
    return [
        SourceFile(
            name=path.name, size=path.stat().st_size, sha256=sha256_file(path), sampled=False
        )
        for path in paths
    ]


def bring_assistant(folder: Path | None, out: Path, reporter: Reporter) -> None:
    """Copy or link its files to ``out/assistant``. Raises :class:`OSError`."""
    if folder is None:
        return
    target = out / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    paths = [path for path in folder.iterdir() if path.is_file()]
    with reporter.bytes("Copying", total=sum(path.stat().st_size for path in paths)) as tick:
        for path in paths:
            bring(path, target / path.name, tick)
    reporter.say("MTP assistant copied; with it there is no guided decoding")
