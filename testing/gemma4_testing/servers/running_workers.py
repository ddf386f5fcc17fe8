"""A real `gemma4 gateway --workers N` for tests, whose requests go to the worker that a test says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psutil

from gemma4_testing.servers.process_tree import tree
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.waiting import wait_until

__all__ = ["RunningWorkers", "Started", "Stream"]

CHAT = "/v1/chat/completions"


class Stream:
    """A streamed answer that has begun, on a connection of its own."""

    def __init__(self, gateway: RunningGateway, text: str = "stream", **headers: str) -> None:
        self._http = gateway.http()
        body = chat(text, stream=True)
        request = self._http.build_request("POST", CHAT, json=body, headers=headers)
        self.reply = self._http.send(request, stream=True)
        self._lines = self.reply.iter_lines()
        if self.reply.status_code == 200:
            assert next(self._lines).startswith("data: ")

    def rest(self) -> list[str]:
        """Read to the end. Raises what httpx does when the connection breaks."""
        try:
            return [line for line in self._lines if line]
        finally:
            self._http.close()

    def whole(self) -> bool:
        """Read on, and return whether all of it came."""
        try:
            return self.rest()[-1] == "data: [DONE]"
        except httpx.TransportError:
            return False


class RunningWorkers(RunningGateway):
    """``count`` workers before ``backends``."""

    def __init__(
        self, *backends: int, count: int = 2, args: tuple[str, ...] = (), **more: Any
    ) -> None:
        super().__init__(*backends, args=("--workers", str(count), *args), **more)

    @property
    def workers(self) -> list[psutil.Process]:
        """Those that live, the oldest first."""
        found = psutil.Process(self.process.pid).children()
        return sorted(found, key=lambda process: process.create_time())

    @contextmanager
    def only(self, worker: psutil.Process) -> Iterator[httpx.Client]:
        """Have ``worker`` take every new connection: the others stand still meanwhile."""
        others = [other for other in self.workers if other.pid != worker.pid]
        for other in others:
            other.suspend()
        try:
            with self.http() as http:
                yield http
        finally:
            for other in others:
                with suppress(psutil.NoSuchProcess):
                    other.resume()

    def cpu(self) -> float:
        """Seconds of user and system time so far, of the supervisor and of all workers."""
        times = [process.cpu_times() for process in tree(self.process.pid)]
        ended = times[0].children_user + times[0].children_system
        return sum(t.user + t.system for t in times) + ended

    def ask(self, worker: psutil.Process, **headers: str) -> httpx.Response:
        """Ask one worker for a short answer."""
        with self.only(worker) as http:
            return http.post(CHAT, json=chat("short"), headers=headers)

    def stream(self, worker: psutil.Process, **headers: str) -> Stream:
        """Begin a long answer of one worker."""
        with self.only(worker):
            return Stream(self, **headers)

    def metric(self, name: str) -> float:
        """One series, as any worker tells it."""
        with self.http() as http:
            text = http.get("/metrics").text
        (found,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found.rsplit(" ", 1)[1])

    def number_of(self, worker: psutil.Process) -> int:
        with self.only(worker) as http:
            number: int = http.get("/health/ready").json()["worker"]
        return number

    def wait_replaced(self, gone: psutil.Process, count: int = 2) -> psutil.Process:
        """Wait until ``gone`` has a successor that serves."""
        wait_until(lambda: not gone.is_running() or gone.status() == "zombie", 10)
        self.wait_for('"event":"worker_serves"')
        wait_until(lambda: len(self.workers) == count, 30)
        return self.workers[-1]


class Started:
    """Gateways before ``backend`` that end with the test, whatever happens."""

    def __init__(self, backend: int) -> None:
        self._backend = backend
        self._running: list[RunningWorkers] = []

    def __call__(self, *args: str, **more: Any) -> RunningWorkers:
        running = RunningWorkers(self._backend, args=args, **more)
        self._running.append(running)
        return running

    def end(self) -> None:
        for running in self._running:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait(10)
