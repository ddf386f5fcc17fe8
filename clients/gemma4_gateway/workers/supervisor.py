"""``gemma4 gateway --workers N``: the process that starts workers and replaces those that are lost.

Why not uvicorn's own supervisor (``uvicorn.supervisors.Multiprocess``, 0.54): at a second signal it
goes on waiting, without a bound; SIGHUP restarts all workers instead of draining; one that dies
right after its start is started again twice a second forever; it watches a thread of a worker, not
its event loop; its workers outlive it when it is killed; and it makes each worker with
``uvicorn.Server`` itself, while our drain, our log and the limits and metrics that workers share
are in another class. What can be had from a library is: processes, their ends and their pipes are
multiprocessing's.

The workers share one listening socket. With SO_REUSEPORT each would have a queue of its own, and a
worker that dies or stands still takes the connections in its queue with it; from the shared one the
others take them. The price is that Linux does not count: who is idle takes the next connection.

It has one thread, serves nobody and waits for nobody, so there is little that can go wrong in it.
"""

from __future__ import annotations

import gc
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import wait
from types import FrameType

from gemma4_runtime.logs.form import LogForm
from gemma4_runtime.logs.lines import log_fields
from gemma4_runtime.logs.writer import write_at_once

from gemma4_gateway.access_log import written
from gemma4_gateway.settings import Settings, SettingsError
from gemma4_gateway.workers.board import Board
from gemma4_gateway.workers.counts import Counts
from gemma4_gateway.workers.losses import Losses
from gemma4_gateway.workers.member import Member
from gemma4_gateway.workers.metric_files import MetricFiles
from gemma4_gateway.workers.worker import ENDED, SIGNALS, Serve, Told, Worker, start

__all__ = ["StartError", "Supervisor", "Times"]

_AT_ONCE = 130
"""Exit status after a second signal, as with one process."""
_LONGEST = 500
"""Characters of a field of a line that must fit a pipe (select.PIPE_BUF)."""
_TURN_S = 0.5
"""Seconds between two looks for workers that stand still."""


class StartError(Exception):
    """A worker ended before all of them served; the message says how."""


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. ``frozen``: without a sign of life of a worker's event loop, after which it is
    killed; ``start``: the same for one that does not serve yet. ``end``: beyond what running
    answers get, after which those that have not ended are killed."""

    frozen: float = 30.0
    start: float = 120.0
    end: float = 30.0


@dataclass(slots=True)
class _Place:
    """One of N: who has it and what that worker said was wrong, else when the next one starts."""

    number: int
    worker: Worker | None = None
    serves: bool = False
    error: str = ""
    killed: bool = False
    due: float | None = None
    losses: Losses = field(default_factory=Losses)


class Supervisor:
    """Run with :meth:`run`, once, in the main thread of a process without others. ``work`` is what
    a worker does (:func:`gemma4_gateway.workers.worker.serve`)."""

    def __init__(
        self, settings: Settings, form: LogForm, work: Serve, *, times: Times | None = None
    ) -> None:
        self._settings = settings
        self._form = form
        self._work = work
        self._times = times or Times()
        self._board = Board(settings.workers)
        self._counts = Counts(settings.workers)
        self._metrics = MetricFiles(self._board)
        self._places = [_Place(number) for number in range(settings.workers)]
        self._signals: list[int] = []
        self._banner = ""
        self._up = False
        self._ending: float | None = None
        self._at_once = False
        self._status = 0
        self._failure: Exception | None = None
        self._looked = time.monotonic()
        self._forgiven = self._looked

    def run(self) -> int:
        """Serve until a signal, and return the exit status: 0; 1 when a worker was lost too often,
        or did not end in time; 130 after a second signal. Raises
        :class:`~gemma4_gateway.settings.SettingsError` and :class:`StartError` when the first start
        of a worker fails."""
        gc.collect()
        gc.freeze()  # or the first collection of each worker would copy the memory they share
        with self._hearing() as heard:
            try:
                self._places[0].due = time.monotonic()  # alone: what is wrong is said once
                self._run(heard)
            finally:
                self._kill_all()
                self._metrics.remove()
        if self._failure is not None:
            raise self._failure
        self._log("stopped", workers=self._settings.workers, status=self._status)
        return self._status

    def _run(self, heard: socket.socket) -> None:
        while self._ending is None or any(place.worker for place in self._places):
            self._start_due(time.monotonic())
            self._wait(heard)
            now = time.monotonic()
            self._obey(now)
            for place in self._places:
                if place.worker is not None:
                    self._hear(place, place.worker)
                    self._look(place, place.worker, now)
            self._looked = now
            if self._at_once:
                return

    @contextmanager
    def _hearing(self) -> Iterator[socket.socket]:
        """Collect signals; the socket has something to read when one comes."""
        heard, writes = socket.socketpair()
        heard.setblocking(False)
        writes.setblocking(False)
        wakeup = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
        before = {n: signal.getsignal(n) for n in SIGNALS}
        for number, handler in before.items():
            if handler != signal.SIG_IGN:  # as `nohup` sets it
                signal.signal(number, self._on_signal)
        try:
            yield heard
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            heard.close()
            writes.close()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _wait(self, heard: socket.socket) -> None:
        """Wait until something happens that has to be looked at."""
        due = [place.due for place in self._places if place.due is not None]
        seconds = min([_TURN_S, *(max(0.0, at - time.monotonic()) for at in due)])
        workers = [place.worker for place in self._places if place.worker is not None]
        wait([heard, *(w.told for w in workers), *(w.process.sentinel for w in workers)], seconds)
        with suppress(BlockingIOError):
            while heard.recv(4096):
                pass

    def _obey(self, now: float) -> None:
        signals, self._signals = self._signals, []
        for number in signals:
            if self._ending is None:
                self._end(number, now)
            elif number != signal.SIGHUP:  # a terminal that closes sends more than one
                self._at_once, self._status, self._failure = True, _AT_ONCE, None
        if self._ending is not None and now > self._ending:
            self._log("workers_killed", level="error")
            self._at_once, self._status = True, 1

    def _end(self, number: int, now: float) -> None:
        """Have all workers drain, and start no more."""
        grace = max(self._settings.grace, self._settings.drain_delay)
        self._ending = now + grace + self._times.end
        for place in self._places:
            place.due = None
            if place.worker is not None:
                place.worker.send(number)

    def _start_due(self, now: float) -> None:
        for place in self._places:
            if place.due is None or place.due > now:
                continue
            place.due = None
            self._board.beat(place.number)
            try:
                place.worker = start(partial(self._member, place.number), self._work)
            except OSError as error:
                self._lost(place, f"cannot be started: {error.strerror}")

    def _member(self, number: int, started: Callable[[str], None]) -> Member:
        return Member(number, self._board, self._counts, self._metrics, started)

    def _hear(self, place: _Place, worker: Worker) -> None:
        """Take what the worker tells, and notice its end."""
        with suppress(EOFError, OSError):
            while worker.told.poll():
                told: Told = worker.told.recv()
                place.error = told.error
                if not told.error:
                    self._serves(place, told.banner)
        if end := worker.end:
            pid, served = worker.pid, place.serves
            worker.close()
            place.worker, place.serves, place.killed = None, False, False
            self._board.set_serving(place.number, serving=False)
            self._counts.forget(place.number)
            self._metrics.ended(place.number)
            error, place.error = place.error, ""
            if self._ending is None:
                self._lost(place, error or end, pid=pid, served=served, wrong=bool(error))
            elif served and end != ENDED:
                self._log("worker_lost", level="error", worker=place.number, cause=end)

    def _serves(self, place: _Place, banner: str) -> None:
        place.serves = True
        self._board.set_serving(place.number, serving=True)
        self._banner = self._banner or banner
        if self._up:
            self._log("worker_serves", worker=place.number)
            return
        now = time.monotonic()
        if place.number == 0 and self._ending is None:
            for other in self._places[1:]:
                other.due = now
        if self._ending is None and all(one.serves for one in self._places):
            self._up = True
            for line in self._banner.split("\n"):
                write_at_once(1, line)

    def _lost(
        self, place: _Place, cause: str, *, pid: int = 0, served: bool = False, wrong: bool = False
    ) -> None:
        """Have the place taken by another worker soon, or give up."""
        now = time.monotonic()
        if not self._up:
            how = cause if wrong else f"worker {place.number}: {cause} before it served"
            self._failure = SettingsError(how) if wrong else StartError(how)
            self._end(signal.SIGTERM, now)
            return
        self._log(
            "worker_lost", level="error", worker=place.number, pid=pid, served=served, cause=cause
        )
        delay = place.losses.lost(now)
        if delay is None:
            self._log("given_up", level="error", worker=place.number, cause=cause)
            self._status = 1
            self._end(signal.SIGTERM, now)
            return
        self._board.restarted()
        self._log("worker_restarting", worker=place.number, delay_s=delay)
        place.due = now + delay

    def _look(self, place: _Place, worker: Worker, now: float) -> None:
        """Kill a worker that stands still; its end is noticed as that of any other."""
        if now - self._looked > 10 * _TURN_S:  # this process stood still, and perhaps all did
            self._forgiven = now
        if place.worker is None or place.killed or self._ending is not None:
            return
        allowed = self._times.frozen if place.serves else self._times.start
        silent = now - max(self._board.last_beat(place.number), self._forgiven)
        if silent > allowed:
            self._log(
                "worker_frozen", level="error", worker=place.number, pid=worker.pid,
                silent_s=round(silent, 1),
            )  # fmt: skip
            place.killed = True
            worker.send(signal.SIGKILL)

    def _log(self, event: str, *, level: str = "info", **fields: object) -> None:
        """Write a line, without a thread: one that is not taken at once is lost."""
        line = log_fields(event, fields, level=level, longest=_LONGEST)
        write_at_once(2, written(line, self._form))

    def _kill_all(self) -> None:
        for place in self._places:
            if place.worker is not None:
                place.worker.send(signal.SIGKILL)
        for place in self._places:
            if place.worker is not None:
                place.worker.close()
                place.worker = None
