"""The preparer of an engine folder, with the limits and capabilities of its engine."""

from __future__ import annotations

from pathlib import Path

from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.limits import Limits
from gemma4_runtime.manifest import Manifest

__all__ = ["preparer_of"]


def preparer_of(folder: Path, manifest: Manifest, *, template: Path | None = None) -> Preparer:
    """Make a preparer. ``template``: in place of the folder's chat template. Raises
    :class:`OSError`, :class:`KeyError` and :class:`ValueError` for files that are not those of an
    engine folder."""
    return Preparer(
        folder,
        limits=Limits(
            max_prompt_tokens=manifest.limits.max_prompt_tokens,
            max_total_tokens=manifest.limits.max_total_tokens,
        ),
        capabilities=CAPABILITIES[manifest.runtime],
        template=template,
    )
