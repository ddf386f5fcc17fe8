"""What a build ended with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gemma4_runtime.manifest import Manifest

__all__ = ["BuildResult"]


@dataclass(frozen=True, slots=True)
class BuildResult:
    """``read_bytes`` and ``written_bytes`` count the conversion of this run."""

    status: Literal["built", "up_to_date", "updated"]
    path: Path
    manifest: Manifest
    seconds: float
    convert_seconds: float = 0.0
    read_bytes: int = 0
    written_bytes: int = 0
