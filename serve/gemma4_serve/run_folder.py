"""The folder and the shared memory of one run: used by one server, and left by none."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import psutil

from gemma4_serve.errors import ServeError
from gemma4_serve.process_checks import new_folder, places

__all__ = [
    "close_regions",
    "lock_run_dir",
    "namespace",
    "private_run_dir",
    "shared_memory_prefix",
    "sweep",
]

_PREFIX = "gemma4-run-"
_LOCK = "lock"
_YOUNG_S = 60.0
"""Seconds in which a folder is left alone, since its server may be starting."""
_SHM = Path("/dev/shm")


@contextmanager
def private_run_dir() -> Iterator[Path]:
    """Make a folder of this run alone, removed at the end. Raises :class:`ServeError`."""
    folder = new_folder(_PREFIX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lock_run_dir(folder: Path) -> Iterator[None]:
    """Lock the run folder: two servers with one would take each other's status board and control
    socket. Raises :class:`ServeError` that names the one that has it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        file = os.fdopen(number, "a+", encoding="utf-8")
    except OSError as error:
        raise ServeError(
            f"--run-dir {folder}: cannot be used ({error.strerror}); name a folder that you may "
            "write to, or leave it out"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "of an unknown number"
            raise ServeError(
                f"--run-dir {folder}: process {holder} serves with it; stop that server, or name "
                "another folder"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def shared_memory_prefix() -> str:
    """Return the start of the names of a server's shared memory regions: which process they belong
    to, in which PID namespace."""
    return f"{namespace()}{os.getpid()}_{time.monotonic_ns()}_"


def namespace() -> str:
    """Return the start of the names of all shared memory regions of this PID namespace."""
    return f"gemma4_{Path('/proc/self/ns/pid').stat().st_ino}_"


def close_regions(prefix: str) -> None:
    """Take from other users what they may do with the regions of shared memory of one server.
    Triton makes them readable by all, whatever the umask, and prompts and answers pass through."""
    with os.scandir(_SHM) as regions:  # a fifth of the time of Path.glob, five times a second
        for region in regions:
            if not region.name.startswith(prefix):
                continue
            try:
                if region.stat().st_mode & 0o077:
                    Path(region.path).chmod(0o600)
            except OSError:
                continue  # it has gone, or belongs to somebody who took the name


def sweep() -> None:
    """Remove what servers left that were killed: folders that nobody holds, and shared memory of
    processes that are gone."""
    for folder in chain.from_iterable(place.glob(f"{_PREFIX}*") for place in places()):
        try:
            status = folder.stat()
            if status.st_uid == os.getuid() and time.time() - status.st_mtime > _YOUNG_S:
                with lock_run_dir(folder):
                    shutil.rmtree(folder, ignore_errors=True)
        except (OSError, ServeError):
            continue
    for region in _SHM.glob(f"{namespace()}*"):
        owner = region.name.removeprefix(namespace()).partition("_")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            region.unlink(missing_ok=True)
