"""What Linux tells of a process: what it is called, whether it runs, how it ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

__all__ = [
    "BUSY",
    "STOPPED",
    "cause_of_death",
    "crashed",
    "describe_status",
    "main_state",
    "model_of",
    "name_of",
    "runs",
    "thread_states",
]

BUSY = frozenset("RD")
"""States (proc(5)) of a thread that computes or waits for a processor, or for a disk."""
STOPPED = frozenset("Tt")
"""The same of one that was stopped, by a signal or a debugger."""
_ENDED = frozenset("ZX")
_CRASHES = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE})
"""What a program's own fault sends, an uncaught C++ exception among them. Not SIGKILL, which a
person or the kernel's lack of memory sends; not SIGBUS, which a full /dev/shm sends; not SIGILL,
which a processor sends that is too old."""
_OURS = "gemma4_runtime."
_EXIT_CODE = 52 - 3  # of the fields after the name; proc(5) counts from 1


def _stat(path: Path) -> list[str]:
    """Return the fields of a stat file from the state on."""
    return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def main_state(pid: int) -> frozenset[str]:
    """Return the state of the process's first thread; empty when it is gone."""
    try:
        return frozenset(_stat(Path(f"/proc/{pid}/stat"))[:1])
    except OSError:
        return frozenset()


def thread_states(pid: int) -> frozenset[str]:
    """Return the states of the process's threads, one letter each; empty when it is gone."""
    states = set()
    try:
        for task in os.scandir(f"/proc/{pid}/task"):
            try:
                states.add(_stat(Path(task.path) / "stat")[0])
            except (OSError, IndexError):
                continue  # the thread has ended
    except OSError:
        return frozenset()
    return frozenset(states)


def runs(pid: int) -> bool:
    """Return whether there is such a process. A zombie has ended."""
    return bool(thread_states(pid) - _ENDED)


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def model_of(pid: int) -> str | None:
    """Return the model that process ``pid`` of a server runs; None for other processes."""
    for word in _words(pid)[1:]:
        path = Path(word)
        if path.name == "model.py" and len(path.parts) > 2:
            return path.parts[-3]
    return None


def name_of(pid: int) -> str:
    """Return a model's name for the process of a model, the package's for one of ours that a model
    has started (``preparation``, ``trtllm``), else the program's."""
    words = _words(pid)
    for word in words[1:]:
        if word.startswith(_OURS):
            return word.removeprefix(_OURS).partition(".")[0]
    return model_of(pid) or Path("".join(words[:1])).name or "process"


def cause_of_death(pid: int) -> str:
    """Return the cause of death of a process that has ended and was not waited for yet."""
    try:
        return describe_status(
            os.waitstatus_to_exitcode(int(_stat(Path(f"/proc/{pid}/stat"))[_EXIT_CODE]))
        )
    except (OSError, IndexError, ValueError):
        return "ended"


def crashed(status: int) -> bool:
    """Return whether ``status`` (as for :func:`describe_status`) is of a program that ended by a
    fault of its own that need not come again."""
    return -status in _CRASHES


def describe_status(status: int) -> str:
    """Describe ``status``, which is as :attr:`subprocess.Popen.returncode` has it."""
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed by signal {-status}"
