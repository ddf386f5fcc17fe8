"""What a checkpoint is called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from gemma4_runtime.model_name import DEFAULT_NAME, names_a_model

__all__ = ["checkpoint_name"]

_HUB = "models--"
"""Start of a folder of the Hugging Face cache: ``models--google--gemma-4-26B-A4B-it``."""


def checkpoint_name(folder: Path) -> str:
    """Return the first of these that names a model: the GGUF file or folder, the repository whose
    snapshot it is in the Hugging Face cache, ``_name_or_path`` of config.json; else ``gemma-4``."""
    return next(filter(names_a_model, _candidates(folder)), DEFAULT_NAME)


def _candidates(folder: Path) -> Iterator[str]:
    if folder.suffix.lower() == ".gguf":
        yield folder.stem  # in the cache a link to a file that is called by its hash
        return
    folder = folder.resolve()
    yield folder.name
    if folder.parent.name == "snapshots" and folder.parents[1].name.startswith(_HUB):
        yield folder.parents[1].name.rpartition("--")[2]
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):  # the build says what is wrong with it
        return
    told = config.get("_name_or_path") if isinstance(config, dict) else None
    if isinstance(told, str):
        yield told.rstrip("/").rpartition("/")[2]
