"""A child process for one request: its limits, and what its end means."""

from __future__ import annotations

import gc
import os
import resource
import signal
from collections.abc import Callable, Iterable

from gemma4_runtime.errors import Code, RequestError, invalid
from gemma4_runtime.logs.events import log_event_at_once
from gemma4_runtime.preparation.wire import Answer, Refused, Step, Work, frame

__all__ = ["CPU_S", "MEMORY_BYTES", "Child", "obituary", "start_child"]

CPU_S = 10
"""CPU seconds for one request. The largest inputs that the size limits let through need about 3
on a core of 2026: 1 MiB of text, 1,023 messages with a template whose work grows with their
square."""
MEMORY_BYTES = 768 * 1024 * 1024
"""Beyond what the parent had mapped, which the child shares."""
_NICE = 10
"""How far a child steps back: requests that need little work come first."""
_OOM_FIRST = "1000"

Prepare = Callable[[Work, Callable[[str], None]], bytes]


class Child:
    """As the parent sees it. ``pipe`` gives frames of Step, then one Answer or Refused."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.field = "request"
        """The input that it works on."""

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def reap(self) -> int | None:
        """Return the status of :func:`os.waitpid`; None while it has not ended. It has closed its
        pipe or was killed, but a process at nice 10 may take a while to end."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        return status if pid else None


def start_child(work: Work, prepare: Prepare, *, close: Iterable[int]) -> Child:
    """Fork. ``close`` are descriptors that the child must not keep open: a client sees by the end
    of its connection that the parent is gone. The caller has one thread. Raises :class:`OSError`
    when there is no memory or process to be had."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if pid:
        os.close(writer)
        os.set_blocking(reader, False)
        return Child(pid, reader)
    status = 1
    try:
        for descriptor in (reader, *close):
            os.close(descriptor)
        _limit()
        _run(work, prepare, writer)
        status = 0
    finally:
        os._exit(status)


def _limit() -> None:
    gc.disable()  # a collection would touch, and so copy, all pages of the parent
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(name, signal.SIG_DFL)
    os.nice(_NICE)  # those who wait for little work come first
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(_OOM_FIRST)
    except OSError:
        pass  # a container may forbid it; then the kernel chooses by size


def _run(work: Work, prepare: Prepare, writer: int) -> None:
    field = ["request"]

    def step(name: str) -> None:
        field[0] = name
        _write(writer, frame(Step(name)))

    try:
        answer: Answer | Refused = Answer(work.number, prepare(work, step))
    except RequestError as error:
        answer = Refused.of(work.number, error)
    except MemoryError:
        answer = Refused.of(work.number, _too_much_memory(field[0]))
    except Exception as error:  # noqa: BLE001 - whatever broke, the client is told
        log_event_at_once("preparation_failed", level="error", error=repr(error))
        answer = Refused.of(
            work.number,
            RequestError(Code.SERVER_FAILED, "preparing the request failed; see the log"),
        )
    _write(writer, frame(answer))


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def obituary(field: str, status: int) -> RequestError:
    """Say why a child that gave no answer ended. ``status`` is that of :func:`os.waitpid`."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return invalid(
            Code.INPUT_TOO_COMPLEX,
            field,
            f"takes more than {CPU_S} s of work to prepare; shorten or simplify it",
        )
    if code in (-signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV):
        return _too_much_memory(field)
    return RequestError(Code.SERVER_FAILED, f"the process that prepared {field} ended with {code}")


def _too_much_memory(field: str) -> RequestError:
    most = MEMORY_BYTES >> 20
    return invalid(
        Code.INPUT_TOO_COMPLEX,
        field,
        f"takes more than {most} MiB to prepare; shorten or simplify it",
    )
