"""What is at the target already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.engine_folder import check_files
from gemma4_runtime.manifest import MANIFEST_NAME, EngineFolderError, Manifest, read_manifest

from gemma4_build.errors import ExistingFolderError

__all__ = ["Existing", "look_at_target"]


@dataclass(frozen=True, slots=True)
class Existing:
    """``manifest`` is None when there is nothing to keep."""

    manifest: Manifest | None

    def require(self) -> Manifest:
        assert self.manifest is not None
        return self.manifest


def look_at_target(out: Path, key: str, *, force: bool) -> Existing:
    """Return the engine folder at ``out`` if it was built with ``key`` and is whole.

    Raises :class:`ExistingFolderError` for anything else that is there, unless ``force`` is set
    and it is an engine folder; what is no engine folder is never replaced.
    """
    if not out.exists() and not out.is_symlink():
        return Existing(None)
    if not out.is_dir() or out.is_symlink():
        raise ExistingFolderError(f"--out {out}: exists and is not a folder; choose another --out")
    if not any(out.iterdir()):
        return Existing(None)
    if not (out / MANIFEST_NAME).exists():
        raise ExistingFolderError(
            f"--out {out}: exists and is no engine folder; choose another --out"
        )
    if force:
        return Existing(None)
    try:
        manifest = read_manifest(out)
        check_files(out, manifest, verify_hashes=True)
    except EngineFolderError as error:
        raise ExistingFolderError(f"{error} with --force") from None
    if manifest.build_key != key:
        raise ExistingFolderError(
            f"--out {out}: holds another build ({manifest.runtime}, {manifest.precision}, "
            f"from {manifest.source.name}) or one of another version of the checkpoint; "
            "choose another --out, or replace it with --force"
        )
    return Existing(manifest)
