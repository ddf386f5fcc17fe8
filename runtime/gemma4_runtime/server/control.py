"""The control socket of the engine step: cancel one request, drain, abort all, release the engine.

One Unix datagram per command: no connection to keep, lose or leak. A cancelled client is noticed
by postprocessing (Triton does not tell a running ensemble step), which sends the key from here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from gemma4_runtime.logs.events import log_event

__all__ = ["CONTROL_NAME", "ControlClient", "ControlServer"]

CONTROL_NAME = "control"
_MAX_COMMAND = 512
"""Bytes of a command."""
_SEND_S = 0.2
"""A frozen engine step lets the socket's queue fill up; who sends must not wait for it."""


class ControlServer:
    """Listens in a thread and calls ``handle(verb, argument)`` for each command."""

    def __init__(self, path: Path, handle: Callable[[str, str], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        self._path = path
        self._handle = handle
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            data = self._socket.recv(_MAX_COMMAND)
            verb, _, argument = data.decode("utf-8", errors="replace").partition(" ")
            if verb == "close":
                return
            try:
                self._handle(verb, argument)
            except Exception as error:  # noqa: BLE001 - the next command must still be heard
                log_event("command_broke", level="error", verb=verb, error=repr(error))

    def close(self) -> None:
        """Stop the thread and remove the socket."""
        with ControlClient(self._path) as client:
            client.send("close")
        self._thread.join()
        self._socket.close()
        self._path.unlink(missing_ok=True)


class ControlClient:
    """Sends commands. Safe in one thread. Never raises, and waits :data:`_SEND_S` at most."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SEND_S)

    def send(self, verb: str, argument: str = "") -> bool:
        """Send one command; False when no engine takes it (it is starting, gone or frozen)."""
        try:
            self._socket.sendto(f"{verb} {argument}".strip().encode(), self._path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> ControlClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
