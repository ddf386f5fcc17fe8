"""What a server needs of the process that starts it, checked in the first second.

Without it Triton starts, says that it is ready, and fails later in its own words or none.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
from pathlib import Path

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.processes.limits import open_files_short_of, raise_soft, threads_left

from gemma4_serve.errors import ServeError

__all__ = [
    "LEAST_SHM", "check_process", "check_shm", "new_folder", "places", "prepare", "usable_folder",
]  # fmt: skip

LEAST_SHM = 32 << 20
"""Bytes free in /dev/shm. Measured with eight model processes: 8 MiB idle and with 64 streams, 17
after requests of 4 MB, which are refused but pass through it. Docker gives 64 MiB unless told
otherwise; TensorRT-LLM on several GPUs wants gigabytes (NCCL)."""

_OPEN_FILES = 256
"""Triton has 72 open when it is idle; every HTTP connection takes one more."""

_THREADS = 512
"""Triton starts 308, its eight model processes 60 to 120 together."""

_ADDRESS_SPACE = 6 << 30
"""Triton maps 3.6 GB, most of it stacks of threads; beside it, what the model needs."""

_FILE_SIZE = 64 << 20
"""Regions of shared memory count as files."""

_RUN_SPACE = 16 << 20
"""Of the run folder: the Python backend is copied there (3 MB), status board, sockets."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SOCKET_PATH = 107
"""Bytes that the path of a Unix socket may have on Linux."""
_SOCKET_NAME = 16
"""Bytes for the longest name of a socket in the run folder."""
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def prepare(run_dir: Path | None, manifest: Manifest) -> None:
    """Check everything, and make ``run_dir`` if it is given. Raises :class:`ServeError`."""
    check_process(manifest)
    check_shm()
    if run_dir is not None:
        usable_folder("--run-dir", run_dir)


def check_process(manifest: Manifest) -> None:
    """Check the limits of this process, which its children inherit; soft ones are raised to the
    hard ones. Raises :class:`ServeError`."""
    problem = open_files_short_of(_OPEN_FILES, "the server")
    if problem:
        raise ServeError(problem)
    left = threads_left()
    if left < _THREADS:
        raise ServeError(
            f"the server needs room for {_THREADS} threads, {max(0, left):.0f} more may run here: "
            "raise the limit (ulimit -u, LimitNPROC= or TasksMax= of systemd, docker --pids-limit)"
        )
    limits = manifest.limits
    model = manifest.memory.total(slots=limits.slots, max_total_tokens=limits.max_total_tokens)
    for number, name, needed in (
        (resource.RLIMIT_AS, "v", _ADDRESS_SPACE + model),
        (resource.RLIMIT_FSIZE, "f", _FILE_SIZE),
    ):
        most = raise_soft(number)
        if most < needed:
            what = "address space" if number == resource.RLIMIT_AS else "size of a file"
            raise ServeError(
                f"the {what} of this process is limited to {most / 2**20:.0f} MiB, the server "
                f"needs {needed / 2**20:.0f} MiB: raise the limit (ulimit -{name} unlimited)"
            )


def check_shm(folder: Path = Path("/dev/shm")) -> None:
    """Check /dev/shm: Triton's model processes talk through shared memory. Raises
    :class:`ServeError`."""
    way_out = (
        "docker run --shm-size 1g; Kubernetes: an emptyDir with medium Memory at /dev/shm; "
        "elsewhere: mount -o remount,size=1g /dev/shm"
    )
    try:
        free = shutil.disk_usage(folder).free
        with tempfile.NamedTemporaryFile(prefix="gemma4_", dir=folder):
            pass
    except OSError as error:
        raise ServeError(
            f"{folder} cannot be used ({error.strerror}), through which Triton's model processes "
            f"talk: {way_out}"
        ) from None
    if free < LEAST_SHM:
        raise ServeError(
            f"{folder} has {free / 2**20:.0f} MiB free, the server needs {LEAST_SHM >> 20} MiB: "
            f"remove what lies there, or make it larger ({way_out})"
        )


def usable_folder(option: str, folder: Path) -> None:
    """Make ``folder`` if it is not there, and check that a server can live in it. Raises
    :class:`ServeError`, which names ``option``."""
    path = folder.absolute()
    length, most = len(os.fsencode(path)), _SOCKET_PATH - 1 - _SOCKET_NAME
    if length > most:
        raise ServeError(
            f"{option} {folder}: a path of {length} bytes, at most {most} fit, since the name of a "
            f"Unix socket in it has {_SOCKET_PATH} bytes at most; choose a shorter one"
        )
    room = f"choose a folder with {_RUN_SPACE >> 20} MiB of free space"
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(4096))
            file.flush()
        free = shutil.disk_usage(path).free
    except OSError as error:
        way_out = room if error.errno in _FULL else "choose a folder where this user can write"
        raise ServeError(f"{option} {folder}: {error.strerror}; {way_out}") from None
    if free < _RUN_SPACE:
        raise ServeError(f"{option} {folder}: {free / 2**20:.1f} MiB free; {room}")


def places() -> list[Path]:
    """Return where a run folder may lie: the temporary folder, and shorter ones if that leaves no
    room for a socket's name. Raises :class:`ServeError` if nothing can be written."""
    wanted = os.environ.get("TMPDIR", "")
    try:
        first = Path(tempfile.gettempdir())
    except FileNotFoundError:
        raise ServeError(
            f"no folder for temporary files can be written{f' (TMPDIR={wanted})' if wanted else ''}"
            "; set TMPDIR to one with space, or give --run-dir"
        ) from None
    if len(os.fsencode(first)) <= _SOCKET_PATH - _SOCKET_NAME - 32:
        return [first]
    return [first, *map(Path, _SHORT)]


def new_folder(prefix: str) -> Path:
    """Make a new folder in the first of :func:`places` where a server can live. Raises
    :class:`ServeError`."""
    problem: ServeError | None = None
    for place in places():
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        except OSError as error:
            problem = problem or ServeError(
                f"{place}: {error.strerror}; set TMPDIR to a folder where this user can write, or "
                "give --run-dir"
            )
            continue
        try:
            usable_folder("TMPDIR", folder)
            return folder
        except ServeError as error:
            shutil.rmtree(folder, ignore_errors=True)
            problem = problem or error
    assert problem is not None
    raise problem
