"""The temporary folder of a build: next to its target, locked, and renamed at the end.

An error removes it. An interrupt (Ctrl-C, SIGTERM, SIGKILL, power) leaves it, hidden, for the
next run of the same command to go on; it never has the target's name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemma4_build.errors import BadOptionError, BuildError, BusyError, DiskFullError

__all__ = ["Workspace", "check_space", "disk_errors", "open_workspace"]

_LOCK = ".lock"
SPARE_BYTES = 64 << 20
"""Kept free beyond what the build writes."""


class Workspace:
    """``folder`` is where the build writes."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.folder = target.with_name(f".{target.name}.building")
        self._replaced = target.with_name(f".{target.name}.replaced")

    def clear(self) -> None:
        """Remove what an interrupted build of something else left."""
        for path in self.folder.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def size(self) -> int:
        """Return the bytes of the files in the folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def publish(self, *, scratch: tuple[str, ...] = ()) -> None:
        """Make the folder the target, replacing an older one; then remove the ``scratch`` files,
        which up to here let an interrupted build go on. Raises :class:`OSError`."""
        _sync_files(self.folder)
        if self.target.exists():
            self.target.rename(self._replaced)
        self.folder.rename(self.target)
        for name in (*scratch, _LOCK):
            (self.target / name).unlink(missing_ok=True)
        _sync_folder(self.target.parent)
        shutil.rmtree(self._replaced, ignore_errors=True)

    def settle(self) -> None:
        """Undo or finish a replacement that was interrupted between its two renames."""
        if self._replaced.exists() and not self.target.exists():
            self._replaced.rename(self.target)
        shutil.rmtree(self._replaced, ignore_errors=True)


@contextmanager
def open_workspace(target: Path) -> Iterator[Workspace]:
    """Create or reopen the temporary folder of ``target`` and lock it.

    Raises :class:`BusyError` when another process builds the same target, and
    :class:`BadOptionError` when the folder cannot be made.
    """
    work = Workspace(target)
    try:
        work.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(work.folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise BadOptionError(f"--out {target}: cannot write there ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(f"{target}: another build of this folder is running") from None
    if not (work.folder / _LOCK).exists():
        os.close(descriptor)
        raise BusyError(f"{target}: another build of this folder just ended; run again")
    try:
        with disk_errors(target):
            work.settle()
            yield work
    except Exception:
        shutil.rmtree(work.folder, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def check_space(work: Workspace, needed: int) -> None:
    """Raise :class:`DiskFullError` unless ``needed`` more bytes fit."""
    free = shutil.disk_usage(work.folder).free
    if needed + SPARE_BYTES > free:
        raise DiskFullError(
            f"{work.target.parent}: {needed / 1e9:.2f} GB needed, {free / 1e9:.2f} GB free; "
            "free some space, choose another --out or a lower precision"
        )


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn write errors into :class:`DiskFullError` or :class:`BuildError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFullError(
                f"{target.parent}: {os.strerror(error.errno)} while writing; free some space or "
                "choose another --out"
            ) from error
        raise BuildError(f"{target}: {error}") from error


def _sync_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
