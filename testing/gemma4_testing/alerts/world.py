"""Servers and gateways that Prometheus watches, and what came of the faults they had."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import psutil

from gemma4_testing.faults.cell import find
from gemma4_testing.servers.alerting import Alerting, Target, free_port
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

__all__ = ["Came", "Fault", "Gateway", "Server", "World", "hold"]

PATIENCE_S = 240.0


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
        self.served = Served(self.engine, self._run_dir, *self._args, *ports, env=env)

    @property
    def pid(self) -> int:
        assert self.served is not None
        return self.served.process.pid

    def processes(self) -> list[psutil.Process]:
        """All of it, what it watches last."""
        own = psutil.Process(self.pid)
        return [own, *own.children(recursive=True)]

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


@dataclass
class Came:
    """What came of a fault: seconds from it to the message, and from its end to the next one."""

    fault: str
    fired: float
    ended: float | None = None


@dataclass
class Fault:
    """One that has just begun, in ``namespace``; ``forms``: what it must fire."""

    world: World
    name: str
    namespace: str
    forms: tuple[str, ...]
    began: float = field(default_factory=time.monotonic)

    def fires(self) -> None:
        for form in self.forms:
            at = self.world.alerting.wait(self.namespace, form, "firing", PATIENCE_S)
            self.world.came[form] = Came(self.name, at - self.began)

    def ends(self) -> None:
        """Call it when the fault is over: its alerts end too."""
        began = time.monotonic()
        for form in self.forms:
            at = self.world.alerting.wait(self.namespace, form, "resolved", PATIENCE_S)
            self.world.came[form].ended = at - began


class World:
    """Everything that runs, until :meth:`close`. ``came``: by form."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "monitoring").mkdir()
        self.alerting = Alerting(folder / "monitoring")
        self.came: dict[str, Came] = {}
        self._all: list[Server | Gateway] = []
        self._targets: dict[Server, Target] = {}
        self._lock = Lock()

    def server(self, namespace: str, engine: Path, *args: str, start: bool = True) -> Server:
        """One more, which Prometheus watches."""
        with self._lock:
            run_dir = self.folder / f"run{len(self._all)}"
            made = Server(engine, run_dir, ("--max-queued", "4", *args))
            self._all.append(made)
            self._targets[made] = Target(namespace, "triton", made.metrics)
        if start:
            made.start()
            self.watch(made)
        return made

    def watch(self, server: Server) -> None:
        """Let Prometheus find a server that was started later."""
        self.alerting.watch(self._targets[server])

    def gateway(
        self,
        namespace: str,
        backends: tuple[int, ...],
        *args: str,
        watched: bool = True,
        log: str | None = None,
    ) -> Gateway:
        """One more; ``backends``: gRPC ports; ``log``: the file that standard error goes to."""
        with self._lock:
            made = Gateway(backends, args, log)
            self._all.append(made)
        made.start()
        if watched:
            https = "--ssl-certfile" in args
            self.alerting.watch(Target(namespace, "gateway", made.port, https))
        return made

    def fault(self, name: str, namespace: str, *forms: str) -> Fault:
        """Say that a fault begins now."""
        return Fault(self, name, namespace, forms)

    def close(self) -> None:
        for each in reversed(self._all):
            each.end()
        self.alerting.close()


def hold(process: psutil.Process, seconds: float) -> None:
    """Let a process stand still for so long."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(process.pid, signal.SIGCONT)
