"""Small files of JSON in the user's cache folder, of what can be found out again.

They lie there since engine folders are often mounted read-only. One that cannot be read or written
costs time and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["cache_file", "read_entries", "write_entries"]


def cache_file(name: str) -> Path | None:
    """Return the path of the file; None for a user without a home."""
    try:
        return Path.home() / ".cache" / "gemma4-triton" / name
    except RuntimeError:
        return None


def read_entries(file: Path | None) -> dict[str, Any]:
    """Return what the file holds, the oldest first; nothing where it is none of ours."""
    try:
        data = json.loads(file.read_bytes()) if file is not None else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write_entries(file: Path | None, entries: Mapping[str, Any], *, most: int) -> None:
    """Write the newest ``most`` entries. Who reads meanwhile sees the old file or the new one."""
    if file is None:
        return
    newest = dict(list(entries.items())[-most:])
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(newest), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
