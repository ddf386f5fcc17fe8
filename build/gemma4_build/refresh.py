"""Bring what engine.json says up to what was asked for, where the weights stay as they are."""

from __future__ import annotations

import time
from pathlib import Path

from gemma4_runtime.manifest import Manifest

from gemma4_build.manifest import keep_template, write_manifest
from gemma4_build.result import BuildResult
from gemma4_build.workspace import disk_errors

__all__ = ["refresh"]


def refresh(out: Path, old: Manifest, new: Manifest, started: float) -> BuildResult:
    """Write ``new`` into the folder ``out`` that ``old`` describes, unless they differ only in when
    and by which version it was built. ``started``: seconds of :func:`time.monotonic`. Raises
    :class:`~gemma4_build.errors.DiskFullError`."""
    new = keep_template(new, old)
    same = new.model_copy(update={"created_at": old.created_at, "tool_version": old.tool_version})
    seconds = time.monotonic() - started
    if same == old:
        return BuildResult("up_to_date", out, old, seconds)
    with disk_errors(out):
        write_manifest(out, new)
    return BuildResult("updated", out, new, seconds)
