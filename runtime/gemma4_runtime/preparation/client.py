"""A model's connection to the preparation process."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from gemma4_runtime.errors import Code, RequestError
from gemma4_runtime.outbox import Outbox
from gemma4_runtime.preparation.wire import (
    SOCKET_NAME,
    Answer,
    Ask,
    Drop,
    Frames,
    Ping,
    Pong,
    Refused,
    Work,
    frame,
    read_replies,
)
from gemma4_runtime.trace_context import TraceContext

__all__ = ["PreparationClient"]

_READ = 1 << 20
"""Bytes to read from the preparation process at once."""
_TICK_S = 0.1
"""How often the clients of requests that wait are looked for."""
_REST_S = 0.4
"""Seconds between two looks while nothing waits. The first look at the client of a request comes so
late at most."""
_PING_S = 0.5
"""Seconds between two questions whether the preparation process is alive."""
_HANGS_S = 3.0
"""Without a sign of life for so long the process is given up."""
_SEND_S = 3.0
"""Seconds that the preparation process has to take a connection, or more of a message."""

Result = bytes | RequestError
Done = Callable[[Result], None]


@dataclass(slots=True)
class _Waiting:
    done: Done
    gone: Callable[[], bool]
    checked: float


class PreparationClient:
    """``done`` of a request is called once, and ``gone`` now and then before that, both in the one
    thread of this object; neither may block or raise. Thread-safe."""

    def __init__(self, run_dir: Path, *, on_hang: Callable[[], None] = lambda: None) -> None:
        """``on_hang`` is called when the process gives no sign of life."""
        self._path = run_dir / SOCKET_NAME
        self._on_hang = on_hang
        self._lock = Lock()
        self._waiting: dict[int, _Waiting] = {}
        self._numbers = 0
        self._socket: socket.socket | None = None
        self._outbox: Outbox | None = None
        self._closing = False
        self._heard = self._pinged = 0.0

    def ask(
        self,
        values: dict[str, Any],
        *,
        kind: Literal["request", "tokens", "verdict"],
        done: Done,
        gone: Callable[[], bool],
        request_id: str = "",
        key: str = "",
        now: float,
        trace: TraceContext | None = None,
    ) -> None:
        """Ask for work. ``done`` gets the data of an Answer, or an error. ``gone``: whether the
        client has left; the work is stopped then. ``now``: :func:`time.monotonic`. Raises
        :class:`~gemma4_runtime.errors.RequestError` UNAVAILABLE when there is no process."""
        with self._lock:
            self._connect()
            if not self._waiting:
                self._heard = time.monotonic()  # who was asked nothing had nothing to say
            self._numbers += 1
            number = self._numbers
            self._waiting[number] = _Waiting(done, gone, now)
            self._send(Work(number, kind, values, request_id, key, now, trace))

    def close(self) -> None:
        """Close the connection; what waits gets UNAVAILABLE."""
        with self._lock:
            self._closing = True
            self._hang_up()

    def _connect(self) -> None:
        if self._socket is not None:
            return
        if self._closing:
            raise _stopping()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_SEND_S)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise _lost() from None
        self._socket = connection
        self._outbox = outbox = Outbox(connection, "preparation-outbox")
        self._heard = self._pinged = time.monotonic()
        Thread(target=self._run, args=(connection, outbox), name="preparation", daemon=True).start()

    def _send(self, ask: Ask) -> None:
        """Send it without waiting: the lock is held. A message that cannot be sent is lost with the
        connection, whose thread ends what waits."""
        if self._outbox is not None:
            self._outbox.put(frame(ask))

    def _hang_up(self) -> None:
        """Shut the connection down; the thread notices, and ends what waits."""
        if self._socket is not None:
            _shut(self._socket)

    def _run(self, connection: socket.socket, outbox: Outbox) -> None:
        frames = Frames()
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        while True:
            data = None
            if poll.poll((_TICK_S if self._waiting else _REST_S) * 1000):
                try:
                    data = connection.recv(_READ)
                except OSError:
                    data = b""
            if data == b"":
                break
            if data:
                self._heard = time.monotonic()
                for reply in read_replies(frames.add(data)):
                    if isinstance(reply, Answer):
                        self._end(reply.number, reply.data)
                    elif isinstance(reply, Refused):
                        self._end(reply.number, reply.error())
                    else:
                        assert isinstance(reply, Pong)
            self._look_after(time.monotonic())
        self._lose(connection, outbox)

    def _end(self, number: int, result: Result) -> None:
        with self._lock:
            waiting = self._waiting.pop(number, None)
        if waiting is not None:
            waiting.done(result)

    def _look_after(self, now: float) -> None:
        with self._lock:
            due = [(n, w) for n, w in self._waiting.items() if now - w.checked >= _TICK_S]
            silent = self._waiting and now - self._heard >= _HANGS_S
        if silent:
            self._on_hang()
            with self._lock:
                self._hang_up()
            return
        for number, waiting in due:
            waiting.checked = now
            if waiting.gone():
                self._tell(Drop(number))
                self._end(number, RequestError(Code.CLIENT_CANCELLED, "the client cancelled"))
        if due and now - self._pinged >= _PING_S:
            self._pinged = now
            self._tell(Ping())

    def _tell(self, ask: Ask) -> None:
        with self._lock:
            self._send(ask)

    def _lose(self, connection: socket.socket, outbox: Outbox) -> None:
        with self._lock:
            self._socket = self._outbox = None
            _shut(connection)
            lost, self._waiting = list(self._waiting.values()), {}
        outbox.end()
        connection.close()
        for waiting in lost:
            waiting.done(_stopping() if self._closing else _lost())


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side did it before


def _stopping() -> RequestError:
    return RequestError(Code.SERVER_STOPPED, "the server is stopping")


def _lost() -> RequestError:
    return RequestError(
        Code.PREPARATION_RESTARTING,
        "the process that prepares requests is starting again; retry later",
    )
