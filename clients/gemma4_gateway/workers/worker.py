"""One worker: a process that serves, forked by the supervisor.

Forked rather than started anew: the supervisor has imported everything and has one thread, so a
worker is there in a tenth of the time, shares the memory of what was imported, and inherits the
socket and the memory of :class:`~gemma4_gateway.workers.board.Board` and
:class:`~gemma4_gateway.workers.counts.Counts`.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from gemma4_runtime.logs.events import flush_events
from gemma4_runtime.logs.form import LogForm

from gemma4_gateway.access_log import Log
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.server import run
from gemma4_gateway.settings import Settings, SettingsError
from gemma4_gateway.workers.member import Member

__all__ = ["ENDED", "SIGNALS", "Serve", "Told", "Worker", "serve", "start"]

Serve = Callable[[Member], None]
"""What a worker does, until it is asked to end."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Those that end a gateway."""
_PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that this process gets when its parent ends."""
_WRONG_SETTINGS = 2
"""Exit status, as of the command."""
ENDED = "ended with status 0"
"""How a worker ends that was asked to."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a worker tells once: that it serves, with the banner, or why it does not."""

    banner: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Worker:
    """``told``: where :class:`Told` comes from."""

    process: BaseProcess
    told: Connection

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def send(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        if self.process.exitcode is None:
            os.kill(self.pid, number)

    def close(self) -> None:
        """Give back what it took here. Call it once it has ended."""
        self.told.close()
        self.process.join()
        self.process.close()

    @property
    def end(self) -> str:
        """Say how it has ended; "" while it runs."""
        status = self.process.exitcode
        if status is None:
            return ""
        if status >= 0:
            return f"ended with status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:  # one of the signals without a name
            return f"killed by signal {-status}"


def start(member: Callable[[Callable[[str], None]], Member], work: Serve) -> Worker:
    """Fork a worker. ``member`` makes what it knows, given how it says that it has started. Raises
    :class:`OSError` when there can be no more processes."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    made = member(lambda banner: theirs.send(Told(banner=banner)))
    process = context.Process(
        target=_begin, args=(made, work, theirs, os.getpid()), name=f"worker {made.number}",
        daemon=True,
    )  # fmt: skip
    # A signal that came between the fork and the first lines of the worker would be lost there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        process.start()
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Worker(process, ours)


def _begin(member: Member, work: Serve, told: Connection, parent: int) -> None:
    _end_with(parent)
    # A terminal's Ctrl-C is for the supervisor, which passes it on: twice would end all at once.
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` sets it
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    member.metrics.use(member.number)
    try:
        work(member)
    except SettingsError as error:
        told.send(Told(error=str(error)))
        sys.exit(_WRONG_SETTINGS)
    finally:
        flush_events()


def _end_with(parent: int) -> None:
    """Have Linux kill this process when the supervisor is killed, so that the port is free at once
    for the next one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def serve(settings: Settings, form: LogForm, listener: socket.socket) -> Serve:
    """Return the work of a worker of a gateway: its part of it."""
    return partial(_serve, settings, form, listener)


def _serve(settings: Settings, form: LogForm, listener: socket.socket, member: Member) -> None:
    part = replace(settings, queue=settings.queue.part_of(settings.workers))
    log = Log(form, worker=member.number)
    try:
        gateway = Gateway(part, log, member)
    except SettingsError:
        log.close()
        raise
    run(gateway, listener)
