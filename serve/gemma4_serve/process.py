"""One tritonserver process: start, wait until ready, watch, drain, stop."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from gemma4_runtime import settings as names
from gemma4_runtime.server.access_log import log_event
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.control import CONTROL_NAME, ControlClient

from gemma4_serve.errors import ServeError
from gemma4_serve.group import end_group
from gemma4_serve.install import TritonInstall
from gemma4_serve.logs import LogPump
from gemma4_serve.ports import Ports

__all__ = ["ServerOptions", "TritonProcess"]

_POLL_S = 0.05
_KILL_S = 10.0
_GROUP_S = 5.0


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to start a server. ``threads``, ``slots``, ``max_queued`` None: the manifest's."""

    engine: Path
    repository: Path
    run_dir: Path
    host: str
    ports: Ports
    threads: int | None = None
    slots: int | None = None
    max_queued: int | None = None
    gpu_device_ids: str | None = None


class TritonProcess:
    """A started server. It gets its own process group, so that a Ctrl-C in the terminal reaches
    only us and running answers can finish."""

    def __init__(self, options: ServerOptions, install: TritonInstall, log: LogPump) -> None:
        self._options = options
        self._log = log
        self._shm_prefix = f"gemma4_{os.getpid()}_{time.monotonic_ns()}_"
        env = os.environ | install.env | self._model_env(install)
        self._process = subprocess.Popen(
            self._command(install),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._pump = Thread(target=log.run, args=(self._process.stdout,), daemon=True)
        self._pump.start()
        self._engine_pidfd: int | None = None

    def _model_env(self, install: TritonInstall) -> dict[str, str]:
        options = self._options
        env = {
            names.ENGINE_DIR: install.path(options.engine),
            names.RUN_DIR: install.path(options.run_dir),
        }
        for name, value in (
            (names.THREADS, options.threads),
            (names.SLOTS, options.slots),
            (names.MAX_QUEUED, options.max_queued),
            (names.GPU_DEVICE_IDS, options.gpu_device_ids),
        ):
            if value is not None:
                env[name] = str(value)
        return env

    def _command(self, install: TritonInstall) -> list[str]:
        options, ports = self._options, self._options.ports
        return [
            str(install.binary),
            f"--model-repository={install.path(options.repository)}",
            f"--backend-directory={install.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shm_prefix}",
            "--disable-auto-complete-config",
            "--exit-timeout-secs=10",
            f"--http-address={options.host}",
            f"--http-port={ports.http}",
            f"--grpc-address={options.host}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={options.host}",
            f"--metrics-port={ports.metrics}",
            # Clients and load balancers may ping idle connections every 10 s.
            "--grpc-keepalive-permit-without-calls=true",
            "--grpc-http2-min-recv-ping-interval-without-data=10000",
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, timeout: float) -> None:
        """Until the ensemble is ready, which the engine's first answer precedes. Raises
        :class:`ServeError` with the server's own words when it ends or takes too long."""
        url = f"http://{_reachable(self._options.host)}:{self._options.ports.http}/v2/models/gemma4/ready"
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if not self.running():
                self._pump.join(timeout=5)
                reason = "\n".join(self._log.tail) or "no reason in its log; try --verbose"
                raise ServeError(f"the server ended while it started:\n{reason}")
            try:
                with urllib.request.urlopen(url, timeout=5):
                    self._watch_engine()
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(_POLL_S)
        raise ServeError(f"the server was not ready after {timeout:.0f} s; see its log (--verbose)")

    def board(self) -> Board:
        return Board(self._options.run_dir / BOARD_NAME)

    def _watch_engine(self) -> None:
        self._engine_pidfd = os.pidfd_open(self.board()[Field.ENGINE_PID])

    def wait_end(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds; True when the engine's process or the server ended."""
        assert self._engine_pidfd is not None
        ready, _, _ = select.select([self._engine_pidfd], [], [], timeout)
        return bool(ready) or not self.running()

    def drain(self, grace: float) -> bool:
        """Refuse new requests and wait for the accepted ones; True when all of them ended."""
        control = ControlClient(self._options.run_dir / CONTROL_NAME)
        if not control.send("drain"):
            return True
        board, end = self.board(), time.monotonic() + grace
        while time.monotonic() < end and self.running():
            if board[Field.DRAINING] and board[Field.IN_FLIGHT] == 0:
                return True
            time.sleep(_POLL_S)
        control.send("abort")
        time.sleep(_POLL_S)
        return False

    def stop(self) -> int:
        """SIGTERM, then SIGKILL; returns the exit status. None of its processes is left then."""
        if self.running():
            self._process.terminate()
            try:
                self._process.wait(_KILL_S)
            except subprocess.TimeoutExpired:
                self.kill()
        if not end_group(self._process.pid, _GROUP_S):
            log_event("killed_what_the_server_left", level="warning", after_s=_GROUP_S)
        self._clean_up()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL for the whole group: every open connection breaks at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        end_group(self._process.pid, 0)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._engine_pidfd is not None:
            os.close(self._engine_pidfd)
            self._engine_pidfd = None
        for region in Path("/dev/shm").glob(f"{self._shm_prefix}*"):
            region.unlink(missing_ok=True)
        self._pump.join(timeout=2)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host
