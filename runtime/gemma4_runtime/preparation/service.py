"""The loop of the preparation process: one thread, which never works on anything large."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from gemma4_runtime.errors import Code, RequestError, overloaded
from gemma4_runtime.logs.events import log_event_at_once
from gemma4_runtime.preparation.child import Child, obituary, start_child
from gemma4_runtime.preparation.lanes import Lane, Lanes, lane_of
from gemma4_runtime.preparation.wire import (
    Answer,
    Drop,
    Frames,
    Ping,
    Pong,
    Refused,
    Reply,
    Step,
    Work,
    frame,
    read_asks,
    read_replies,
)
from gemma4_runtime.preparation.worker import Worker

__all__ = ["Service"]

_READ = 1 << 20
"""Bytes to read from a socket or a pipe at once."""
_TICK_S = 0.05
"""Seconds between two looks at deadlines while requests are at work."""
_DYING_S = 0.01
"""Seconds between two looks at children that have closed their pipe or were killed."""
_LONGEST_S = 60.0
"""Of one request in a child process; its CPU limit comes first unless the machine is overloaded."""
MOST_WAITING = 64
"""Of each lane."""


class _Connection:
    """A model's. What it does not read at once waits in ``out``."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.socket = peer
        self.frames = Frames()
        self.out = bytearray()

    def send(self, reply: Reply) -> None:
        self.out += frame(reply)
        self.flush()

    def flush(self) -> None:
        while self.out:
            try:
                del self.out[: self.socket.send(self.out)]
            except BlockingIOError:
                return
            except OSError:
                self.out.clear()  # its end is read next
                return


@dataclass(eq=False, slots=True)
class _Job:
    """``number`` is ours; ``work.number`` that of the connection."""

    number: int
    connection: _Connection
    work: Work
    deadline: float
    started: float = 0.0
    child: Child | None = None
    frames: Frames | None = None


class Service:
    """Serves ``listener`` until :attr:`parent` ends."""

    def __init__(
        self,
        worker: Worker,
        listener: socket.socket,
        parent: socket.socket,
        *,
        most_messages: int,
        places: dict[Lane, int],
    ) -> None:
        """``parent``: a connected socket; at its end the process shall end. ``most_messages``: how
        many are rendered without a child process."""
        self._worker = worker
        self._most_messages = most_messages
        self._lanes = Lanes(places=places, most_waiting=MOST_WAITING)
        self._jobs: dict[int, _Job] = {}
        self._dying: dict[Child, _Job | None] = {}  # and who waits for the cause
        self._numbers = 0
        self._selector = selectors.DefaultSelector()
        self._parent = parent
        self._listener = listener
        listener.setblocking(False)
        self._connections: set[_Connection] = set()
        self._watch(listener, self._accept)

    def run(self) -> None:
        """Serve until the parent has gone; then end its children."""
        over = False

        def end() -> None:
            nonlocal over
            over = not self._parent.recv(_READ)

        self._watch(self._parent, end)
        while not over:
            self.turn()
        for job in list(self._jobs.values()):
            self._forget(job)

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        for key, _ in self._selector.select(self._patience()):
            # What was heard before it in this turn may have ended it, and given its number on.
            if self._selector.get_map().get(key.fd) is key:
                key.data()
        self._bury()
        self._expire(time.monotonic())
        self._start()
        for connection in self._connections:
            if connection.out:
                connection.flush()

    def _patience(self) -> float | None:
        if self._dying:
            return _DYING_S
        return _TICK_S if self._jobs else None

    def _watch(self, source: socket.socket | int, call: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, call)

    def _accept(self) -> None:
        try:
            connection = _Connection(self._listener.accept()[0])
        except OSError:
            return
        self._connections.add(connection)
        self._watch(connection.socket, lambda: self._read(connection))

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        try:
            asks = read_asks(connection.frames.add(data))
        except msgspec.DecodeError:
            data = b""
        if not data:
            self._end(connection)
            return
        for ask in asks:
            if isinstance(ask, Work):
                self._take(connection, ask)
            elif isinstance(ask, Drop):
                for job in self._of(connection):
                    if job.work.number == ask.number:
                        self._forget(job)
            elif isinstance(ask, Ping):
                connection.send(Pong())

    def _of(self, connection: _Connection) -> list[_Job]:
        return [job for job in self._jobs.values() if job.connection is connection]

    def _end(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        self._connections.discard(connection)
        for job in self._of(connection):
            self._forget(job)
        connection.socket.close()

    def _take(self, connection: _Connection, work: Work) -> None:
        lane = lane_of(
            work.values,
            guide_known=work.kind == "verdict" or work.values in self._worker.known,
            most_messages=self._most_messages,
        )
        if lane is Lane.AT_ONCE:
            connection.send(self._at_once(work))
            return
        if not self._lanes.add(self._numbers + 1, lane):
            error = overloaded(
                f"{MOST_WAITING} requests of this size wait to be prepared",
                slots=self._lanes.places[lane],
                max_queued=MOST_WAITING,
            )
            connection.send(Refused.of(work.number, error))
            return
        self._numbers += 1
        self._jobs[self._numbers] = _Job(self._numbers, connection, work, _deadline(work))
        self._start()

    def _at_once(self, work: Work) -> Reply:
        try:
            return Answer(work.number, self._worker.prepare(work, lambda field: None))
        except RequestError as error:
            return Refused.of(work.number, error)
        except Exception as error:  # noqa: BLE001 - one request must not end the others
            log_event_at_once("preparation_failed", level="error", error=repr(error))
            return Refused.of(
                work.number,
                RequestError(Code.SERVER_FAILED, "preparing the request failed; see the log"),
            )

    def _start(self) -> None:
        for number in self._lanes.start():
            job = self._jobs[number]
            close = [self._listener.fileno(), self._parent.fileno(), self._selector.fileno()]
            close += [connection.socket.fileno() for connection in self._connections]
            close += [other.child.pipe for other in self._jobs.values() if other.child]
            try:
                job.child = start_child(job.work, self._worker.prepare, close=close)
            except OSError as error:
                self._answer(
                    job,
                    RequestError(
                        Code.MACHINE_OVERLOADED, f"no process for the request: {error.strerror}"
                    ),
                )
                continue
            job.frames, job.started = Frames(), time.monotonic()
            self._watch(job.child.pipe, lambda job=job: self._hear(job))  # type: ignore[misc]

    def _hear(self, job: _Job) -> None:
        child, frames = job.child, job.frames
        assert child is not None and frames is not None
        try:
            data = os.read(child.pipe, _READ)
        except BlockingIOError:
            return
        for message in read_replies(frames.add(data)):
            if isinstance(message, Step):
                child.field = message.field
            else:
                self._answer(job, message)
                return
        if not data:
            self._leave(job)
            self._dying[child] = job

    def _expire(self, now: float) -> None:
        for job in list(self._jobs.values()):
            if now >= job.deadline:
                self._answer(job, _late(now - job.work.arrival))
            elif job.child is not None and now >= job.started + _LONGEST_S:
                busy = f"preparing the request took more than {_LONGEST_S:.0f} s"
                self._answer(
                    job,
                    RequestError(
                        Code.MACHINE_OVERLOADED, f"{busy}; the machine is overloaded, retry later"
                    ),
                )

    def _answer(self, job: _Job, result: Reply | RequestError) -> None:
        if isinstance(result, RequestError):
            result = Refused.of(job.work.number, result)
        elif isinstance(result, Answer) and job.work.kind == "request":
            self._worker.known.add(job.work.values)
        job.connection.send(result)
        self._forget(job)

    def _forget(self, job: _Job) -> None:
        self._jobs.pop(job.number, None)
        self._lanes.remove(job.number)
        if job.child is not None:
            job.child.kill()
            self._dying[job.child] = None
            self._leave(job)

    def _leave(self, job: _Job) -> None:
        """Hear no more of its child."""
        child, job.child = job.child, None
        assert child is not None
        self._selector.unregister(child.pipe)
        os.close(child.pipe)

    def _bury(self) -> None:
        """Reap children without waiting, since everybody would."""
        for child, job in list(self._dying.items()):
            status = child.reap()
            if status is None:
                continue
            del self._dying[child]
            if job is not None and job.number in self._jobs:
                self._answer(job, obituary(child.field, status))


def _deadline(work: Work) -> float:
    """Return when the request's time is over; a timeout out of range is refused with the other
    inputs."""
    timeout = work.values.get("timeout_ms", 0)
    return work.arrival + timeout / 1000 if timeout > 0 else float("inf")


def _late(after: float) -> RequestError:
    return RequestError(
        Code.DEADLINE_EXCEEDED,
        f"timeout_ms: the request was not prepared after {after * 1000:.0f} ms; "
        "make it smaller or allow more time",
    )
