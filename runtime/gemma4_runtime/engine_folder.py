"""The check of an engine folder that a start makes: its manifest, its files, this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.engine_hashes import HashCache, sha256_file
from gemma4_runtime.machine import available_memory
from gemma4_runtime.manifest import (
    CHAT_TEMPLATE,
    EngineFolderError,
    FileEntry,
    Manifest,
    read_manifest,
)

__all__ = [
    "EngineFolder",
    "MachineTooSmallError",
    "TamperedFileError",
    "check_files",
    "load_engine_folder",
]


class TamperedFileError(EngineFolderError):
    """A file is missing, truncated or changed. ``file`` is its name."""

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file


class MachineTooSmallError(EngineFolderError):
    """The machine has too little free memory. ``needed`` and ``available`` are bytes."""

    def __init__(self, message: str, *, needed: int, available: int) -> None:
        super().__init__(message)
        self.needed = needed
        self.available = available


@dataclass(frozen=True, slots=True)
class EngineFolder:
    """A checked engine folder."""

    path: Path
    manifest: Manifest


def load_engine_folder(
    path: Path,
    *,
    verify_hashes: bool,
    slots: int | None = None,
    available_bytes: int | None = None,
) -> EngineFolder:
    """Check the folder and that this machine can hold it.

    ``verify_hashes`` reads every file whose size, inode and times changed since it was last
    verified here (about 1 s per GB); sizes are always checked. ``slots`` overrides the
    manifest's. ``available_bytes`` is free memory; by default what this machine or container has.

    Raises the kinds of :class:`EngineFolderError`.
    """
    manifest = read_manifest(path)
    check_files(path, manifest, verify_hashes=verify_hashes)
    if manifest.runtime != "tensorrt_llm":
        _check_memory(path, manifest, slots or manifest.limits.slots, available_bytes)
    return EngineFolder(path, manifest)


def check_files(path: Path, manifest: Manifest, *, verify_hashes: bool) -> None:
    """Raise :class:`TamperedFileError` for the first file that is not as the manifest says."""
    cache = HashCache()
    for name, entry in manifest.files.items():
        file = path / name
        former = manifest.former_template if name == CHAT_TEMPLATE else None
        try:
            if former is None or not _is(file, former):
                _check_file(file, name, entry, cache if verify_hashes else None)
        except TamperedFileError as error:
            if name != CHAT_TEMPLATE or not file.is_file():
                raise
            raise TamperedFileError(
                f"{error}, or make it the engine's with `gemma4 template {path} {file}`", file=name
            ) from None
        except OSError as error:
            raise TamperedFileError(
                f"{file}: cannot be read ({error.strerror}); let this user read it, or build again",
                file=name,
            ) from None
    cache.save()


def _is(file: Path, entry: FileEntry) -> bool:
    """Return whether the file is the one of the manifest. Raises :class:`OSError`."""
    same_size = file.is_file() and file.stat().st_size == entry.size
    return same_size and sha256_file(file) == entry.sha256


def _check_file(file: Path, name: str, entry: FileEntry, cache: HashCache | None) -> None:
    """Compare a file with the manifest. Raises :class:`TamperedFileError` and :class:`OSError`."""
    if not file.is_file():
        raise TamperedFileError(f"{file}: missing; build again", file=name)
    size = file.stat().st_size
    if size != entry.size:
        kind = "truncated" if size < entry.size else "changed"
        raise TamperedFileError(
            f"{file}: {kind}: {size} bytes, the manifest says {entry.size}; build again",
            file=name,
        )
    if cache is not None and cache.sha256(file) != entry.sha256:
        raise TamperedFileError(
            f"{file}: its SHA-256 is not the manifest's; build again", file=name
        )


def _check_memory(path: Path, manifest: Manifest, slots: int, available: int | None) -> None:
    available = available_memory() if available is None else available
    tokens = manifest.limits.max_total_tokens
    needed = manifest.memory.total(slots=slots, max_total_tokens=tokens)
    if needed <= available:
        return
    fits = manifest.memory.fitting_slots(available=available, max_total_tokens=tokens)
    if fits:
        way_out = f"{fits} of {slots} slots would fit: start with fewer slots"
    else:
        short = manifest.memory.total(slots=1, max_total_tokens=1024)
        way_out = (
            "one slot with 1,024 tokens would fit: build again with smaller limits"
            if short <= available
            else f"not even one slot fits: use a lower precision than {manifest.precision}, "
            "or free memory"
        )
    raise MachineTooSmallError(
        f"{path}: needs {_gib(needed)} of memory for {slots} slots of {tokens} tokens, "
        f"{_gib(available)} is available; {way_out}",
        needed=needed,
        available=available,
    )


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"
