"""A worker process as its parent sees it: start, send, receive, close."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread

from gemma4_runtime.engines.tensorrt_llm.wire import (
    LENGTH,
    Close,
    Command,
    Event,
    Lost,
    Ready,
    Start,
    StartFailed,
    decode_events,
    frame,
)
from gemma4_runtime.outbox import Outbox

__all__ = ["Replica"]

_WORKER = "gemma4_runtime.engines.tensorrt_llm.worker"
_CLOSE_S = 10.0
"""Seconds that a worker has to end before it is killed; it gives itself 5."""
_READ = 1 << 18
"""Bytes to read from the worker at once."""


class Replica:
    """One copy of the model. ``running`` is the caller's: how many requests it gave it."""

    def __init__(
        self, start: Start, *, gpus: str | None, env: Mapping[str, str] | None = None
    ) -> None:
        """``env`` is added to the worker's environment."""
        ours, theirs = socket.socketpair()
        devices = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": gpus}
        with theirs:
            self._process = subprocess.Popen(
                [_python(), "-m", _WORKER, str(theirs.fileno())],
                env={**os.environ, **devices, **(env or {})},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        self._socket = ours
        self._poll = select.poll()
        self._poll.register(ours, select.POLLIN)
        self._poll.register(self._pidfd, select.POLLIN)
        self._outbox = Outbox(ours, "replica-outbox")
        self._buffer = bytearray()
        self._thread: Thread | None = None
        self.gpus = gpus
        self.running = 0
        self.send(start)

    def wait_ready(self) -> str:
        """Wait for the start and return the version of TensorRT-LLM. Raises :class:`RuntimeError`
        with the cause of a start that failed. Waits as long as the worker lives."""
        for event in self._read() or [Lost(self._obituary())]:
            if isinstance(event, Ready):
                return event.version
            if isinstance(event, StartFailed | Lost):
                self.close()
                raise RuntimeError(event.cause)
        raise RuntimeError("the TensorRT-LLM worker said something else than that it is ready")

    def listen(self, handle: Callable[[Replica, Event], None]) -> None:
        """Pass every event on, in a thread; the last is a Lost, which also an orderly end gives."""
        self._thread = Thread(target=self._listen, args=(handle,), name="replica", daemon=True)
        self._thread.start()

    def send(self, command: Command) -> None:
        """Send a command after those before it, and return at once, whether the worker reads or
        not. One that is gone is noticed by :meth:`listen`."""
        self._outbox.put(frame(command))

    def close(self) -> None:
        """Let the worker end; kill it when it does not. Again: nothing."""
        if self._pidfd < 0:
            return
        self.send(Close())
        try:
            self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._outbox.end()
        if self._thread is not None:
            self._thread.join()
        self._socket.close()
        os.close(self._pidfd)
        self._pidfd = -1

    def _listen(self, handle: Callable[[Replica, Event], None]) -> None:
        lost = False
        while events := self._read():
            for event in events:
                lost = lost or isinstance(event, Lost)
                handle(self, event)
        if not lost:
            handle(self, Lost(self._obituary()))

    def _read(self) -> list[Event]:
        """Return the events of the next frame; empty at the end of the connection or of the
        process."""
        while True:
            if len(self._buffer) >= LENGTH.size:
                end = LENGTH.size + LENGTH.unpack_from(self._buffer)[0]
                if len(self._buffer) >= end:
                    body = bytes(self._buffer[LENGTH.size : end])
                    del self._buffer[:end]
                    return decode_events(body)
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            try:
                data = self._socket.recv(_READ) if self._socket.fileno() in ready else b""
            except OSError:
                return []
            if not data:
                return []
            self._buffer += data

    def _obituary(self) -> str:
        try:
            status = self._process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            return "the TensorRT-LLM worker closed its connection"
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"the TensorRT-LLM worker ended {how}"


def _python() -> str:
    """Return the interpreter; inside Triton's stub sys.executable need not be one."""
    if Path(sys.executable or "").name.startswith("python"):
        return sys.executable
    found = shutil.which("python3")
    if found is None:
        raise RuntimeError("there is no python3 in PATH to start the TensorRT-LLM worker with")
    return found
