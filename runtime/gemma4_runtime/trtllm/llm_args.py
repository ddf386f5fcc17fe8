"""``llm_args.yaml`` of an engine folder: what goes to TensorRT-LLM's ``LLM(...)``.

A user may edit the file; reading it makes the same checks as composing it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from gemma4_runtime.strict_yaml import YamlFileError, read_mapping
from gemma4_runtime.trtllm.api import VERSION
from gemma4_runtime.trtllm.presets import CHECKPOINT, PRESETS, Preset, compose
from gemma4_runtime.trtllm.unsupported import LlmArgsError, check

__all__ = [
    "CHECKPOINT", "FILE_NAME", "PRESETS", "LlmArgsError", "Preset", "check",
    "compose", "read", "resolve", "write",
]  # fmt: skip

FILE_NAME = "llm_args.yaml"

_HEADER = f"""\
# Arguments of TensorRT-LLM {VERSION} (LLM API, PyTorch backend). Paths are relative to this folder.
# You may edit this file: every start checks it, and says what it cannot run.
"""


def write(path: Path, args: dict[str, Any]) -> None:
    """Check and write. Raises :class:`LlmArgsError` and :class:`OSError`."""
    check(args)
    path.write_text(_HEADER + yaml.safe_dump(args, sort_keys=False), encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Read and check. Raises :class:`LlmArgsError`, which names file and key."""
    try:
        data = read_mapping(path)
    except OSError as error:
        raise LlmArgsError(f"{path}: cannot be read ({error}); build again", key="") from None
    except YamlFileError as error:
        raise LlmArgsError(f"{path}: {error}; mend it or build again", key="") from None
    check(data, file=str(path))
    return data


def resolve(args: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return ``args`` with absolute paths. Raises :class:`LlmArgsError` for a folder that is not
    there."""
    resolved = args | {"model": _folder(folder, args["model"], "model")}
    config = args.get("speculative_config")
    if config is not None:
        key = "speculative_model" if "speculative_model" in config else "speculative_model_dir"
        where = f"speculative_config.{key}"
        resolved["speculative_config"] = config | {key: _folder(folder, config[key], where)}
    return resolved


def _folder(base: Path, name: str, key: str) -> str:
    path = (base / name).resolve()
    if not (path / "config.json").is_file():
        raise LlmArgsError(
            f"{base / FILE_NAME}: {key}: {path} is no checkpoint (it has no config.json); "
            "mend the path or build again",
            key=key,
        )
    return str(path)
