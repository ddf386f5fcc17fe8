"""Servers and gateways on ports that stay the same, whatever happens to their processes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
from gemma4_runtime.server.board import Field
from gemma4_serve.ports import free_port

from gemma4_testing.faults.cell import find
from gemma4_testing.servers.process_tree import tree
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

__all__ = ["Gateway", "Server", "hold"]

FASTER = Path(__file__).with_name("faster")
"""In PYTHONPATH it makes a server's histograms as fast as the rules of alerts."""


class Server:
    """`gemma4 serve` on ports that stay the same; not started yet."""

    def __init__(self, engine: Path, run_dir: Path, args: tuple[str, ...]) -> None:
        self.engine, self._run_dir, self._args = engine, run_dir, args
        self.http, self.grpc, self.metrics = (free_port() for _ in range(3))
        self.served: Served | None = None

    def start(self, **env: str) -> None:
        ports = (
            "--http-port", str(self.http), "--grpc-port", str(self.grpc),
            "--metrics-port", str(self.metrics),
        )  # fmt: skip
        path = os.pathsep.join(filter(None, (str(FASTER), os.environ.get("PYTHONPATH"))))
        env = {"PYTHONPATH": path, **env}
        self.served = Served(self.engine, self._run_dir, *self._args, *ports, env=env)

    @property
    def pid(self) -> int:
        assert self.served is not None
        return self.served.process.pid

    def processes(self) -> list[psutil.Process]:
        """All of it, what it watches last."""
        return tree(self.pid)

    def process(self, name: str) -> psutil.Process:
        """By a name of :data:`gemma4_testing.faults.cell.PROCESSES`."""
        found = find(self.pid, name)
        assert found is not None, name
        return found

    def signal_all(self, number: signal.Signals) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        assert self.served is not None
        self.signal_all(signal.SIGKILL)
        self.served.process.wait()

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def ready(self) -> bool:
        assert self.served is not None
        return self.served.ready()

    def busy(self) -> bool:
        assert self.served is not None
        return not self.served.idle()

    def queued(self) -> int:
        assert self.served is not None
        return self.served.board()[Field.QUEUED]

    def wait_for_process(self, name: str, seconds: float, *, other_than: int = 0) -> psutil.Process:
        """One that runs, which a zombie does not, with another process id than ``other_than``."""

        def found() -> psutil.Process | None:
            process = find(self.pid, name)
            with suppress(psutil.NoSuchProcess):
                if process is None or process.pid == other_than:
                    return None
                return process if process.status() != psutil.STATUS_ZOMBIE else None
            return None

        wait_until(found, seconds, f"no {name}", every=0.05)
        return self.process(name)

    def terminate(self) -> None:
        """Ask it to stop, and do not wait."""
        assert self.served is not None
        self.served.process.terminate()

    def drain(self) -> None:
        """Wait until it has stopped by itself."""
        assert self.served is not None
        self.served.stop()

    def end(self) -> None:
        if self.served is not None and self.served.process.poll() is None:
            self.signal_all(signal.SIGCONT)
            self.signal_all(signal.SIGKILL)
            self.served.process.wait()


class Gateway:
    """`gemma4 gateway` on a port that stays the same; not started yet."""

    def __init__(self, backends: tuple[int, ...], args: tuple[str, ...], log: str | None) -> None:
        self.backends, self._args, self._log = backends, args, log
        self.port = free_port()
        self.running: RunningGateway | None = None

    def start(self) -> None:
        args = ("--port", str(self.port), *self._args)
        self.running = RunningGateway(*self.backends, args=args, log=self._log)

    @property
    def url(self) -> str:
        assert self.running is not None
        return self.running.url

    @property
    def process(self) -> psutil.Process:
        assert self.running is not None
        return psutil.Process(self.running.process.pid)

    def ready_backends(self) -> int:
        assert self.running is not None
        with self.running.http() as http:
            return sum(each["ready"] for each in http.get("/health/ready").json()["backends"])

    def drain(self) -> None:
        """Wait until it has stopped by itself."""
        assert self.running is not None
        self.running.stop()

    def kill(self) -> None:
        assert self.running is not None
        self.running.process.kill()
        self.running.process.wait()

    def end(self) -> None:
        if self.running is not None and self.running.process.poll() is None:
            self.running.process.send_signal(signal.SIGCONT)
            self.kill()


def hold(process: psutil.Process, seconds: float) -> None:
    """Let a process stand still for so long."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(process.pid, signal.SIGCONT)
