"""A real Redis for tests, on a port of its own, with nothing on disk."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import redis
from gemma4_serve.ports import free_port

from gemma4_testing.waiting import wait_until

__all__ = ["RedisServer"]


class RedisServer:
    """Started by ``start``, on the same port each time. ``password``: what it asks for."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        if shutil.which("redis-server") is None:
            pytest.fail("needs redis-server: apt-get install redis-server")
        self.port = free_port()
        self.folder = folder
        self.password = password
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def patient_url(self) -> str:
        """With long for an answer: a busy machine is no fault of Redis, which tests of counts would
        find as a request that was not counted."""
        return f"{self.url}?socket_timeout=20"

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password or None, socket_timeout=5)

    def start(self, *args: str) -> None:
        asks = ("--requirepass", self.password) if self.password else ()
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", str(self.folder), *asks, *args],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self._answers, 20)

    def kill(self) -> None:
        """End it with all that it knows."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self.process is not None:
            self.kill()

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.ConnectionError:
            return False
