"""The loop of the preparation process, a turn at a time, with children that only pretend."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from gemma4_runtime.preparation import service as module
from gemma4_runtime.preparation.child import Child
from gemma4_runtime.preparation.lanes import Lane
from gemma4_runtime.preparation.service import Service
from gemma4_runtime.preparation.wire import (
    Answer,
    Drop,
    Frames,
    Ping,
    Pong,
    Work,
    frame,
    read_replies,
)
from gemma4_runtime.preparation.worker import Worker

LARGE = {"messages": "x" * 60_000}
"""Work for a child process."""


class Turns:
    """A service, one client of it, and the far ends of the pipes of its children."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.children: list[tuple[subprocess.Popen[bytes], int]] = []
        monkeypatch.setattr(module, "start_child", self._start_child)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(tmp_path / "socket"))
        listener.listen(4)
        self._parent, self._listener = socket.socketpair(), listener
        self.service = Service(
            cast(Worker, SimpleNamespace(known=[], prepare=None)),
            listener,
            self._parent[0],
            most_messages=8,
            places={Lane.SHORT: 2, Lane.LONG: 2},
        )
        self.path = tmp_path / "socket"
        self.client = self.connect()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect(str(self.path))
        self.service.turn()
        return client

    def _start_child(self, *_: Any, **__: Any) -> Child:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        process = subprocess.Popen(["sleep", "60"])
        self.children.append((process, writer))
        return Child(process.pid, reader)

    def alive(self) -> bool:
        """Whether a new client is served."""
        client = self.connect()
        client.sendall(frame(Ping()))
        self.service.turn()
        with client:
            return read_replies(Frames().add(client.recv(1000))) == [Pong()]

    def close(self) -> None:
        for process, writer in self.children:
            process.kill()
            process.returncode = 0  # the service reaps it
            os.close(writer)
        for each in (self.client, self._listener, *self._parent):
            each.close()


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    turns = Turns(tmp_path, monkeypatch)
    yield turns
    turns.close()


@pytest.mark.parametrize("way", ["drop", "end"])
def test_a_child_that_answers_as_its_request_is_given_up_disturbs_nothing(
    turns: Turns, way: str
) -> None:
    """The service hears of both in one turn, of the child last."""
    turns.client.sendall(frame(Work(1, "request", LARGE)))
    turns.service.turn()
    ((_, pipe),) = turns.children
    if way == "drop":
        turns.client.sendall(frame(Drop(1)))
    else:
        turns.client.shutdown(socket.SHUT_RDWR)
    os.write(pipe, frame(Answer(1, b"late")))
    turns.service.turn()
    assert turns.alive()
    if way == "drop":
        turns.client.setblocking(False)
        with pytest.raises(BlockingIOError):
            turns.client.recv(1)
