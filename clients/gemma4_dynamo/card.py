"""The folder that a worker registers: the files of its engine folder that Dynamo reads.

Dynamo's frontend takes workers as servers of one model only if the registered folder has the same
path and the same files for all of them; it refuses the others, and says so in its own log alone.
Engine folders of one model differ, by slots, precision and the recorded prompts. So a worker
registers copies of the files that describe the model, in a folder named after their contents.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from gemma4_dynamo.options import OptionsError

__all__ = ["NEEDED", "card_folder"]

NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")
_OTHERS = ("generation_config.json", "chat_template.jinja", "special_tokens_map.json")


def card_folder(files: Path, parent: Path) -> Path:
    """Return the folder with copies of what Dynamo reads of ``files``, made in ``parent`` unless it
    is there. Raises :class:`~gemma4_dynamo.options.OptionsError`."""
    names = [name for name in (*NEEDED, *_OTHERS) if (files / name).is_file()]
    try:
        folder = parent.resolve() / _digest(files, names)
        if not folder.exists():
            _make(folder, files, names)
        _check(folder, files, names)
    except OSError as error:
        raise OptionsError(
            f"--card-folder {parent}: {error.strerror or error}; give one that this user may write"
        ) from None
    return folder


def _digest(files: Path, names: list[str]) -> str:
    whole = hashlib.sha256()
    for name in names:
        whole.update(f"{name} {hashlib.sha256((files / name).read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def _make(folder: Path, files: Path, names: list[str]) -> None:
    """Make it under another name first: other workers of this machine may look."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        for name in names:
            shutil.copyfile(files / name, made / name)
        made.chmod(0o755)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another worker was faster
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check(folder: Path, files: Path, names: list[str]) -> None:
    """Somebody else may have made the folder: its files decide what the model reads."""
    for each in (folder.parent, folder):
        if each.stat().st_uid not in (0, os.getuid()):
            raise OptionsError(
                f"--card-folder {each}: belongs to another user, who could change what the model "
                "reads; give another folder"
            )
    same = sorted(p.name for p in folder.iterdir()) == sorted(names) and all(
        (folder / name).read_bytes() == (files / name).read_bytes() for name in names
    )
    if not same:
        raise OptionsError(
            f"--card-folder {folder.parent}: {folder.name} in it has other files than it should; "
            "remove it, or give another folder"
        )
