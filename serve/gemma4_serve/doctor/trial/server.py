"""The server of a trial: a real ``gemma4 serve`` on free loopback ports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import psutil
from gemma4_runtime.local_http import open_local
from gemma4_runtime.server.board import BOARD_NAME, Board, Field

from gemma4_serve import tied
from gemma4_serve.doctor.trial.log import KeptLog
from gemma4_serve.errors import ServeError
from gemma4_serve.ports import Ports, claim_ports
from gemma4_serve.process_checks import new_folder

__all__ = ["TrialServer"]

_POLL_S = 0.05
"""Seconds between two looks."""
_WORDS = 15
"""Last lines of the server's output that explain a failed start."""
_STOP_S = 20.0
"""Seconds that a server has to end at once."""
_WORKER = "gemma4_runtime.engines.tensorrt_llm.worker"
_UPDATED = "gemma4_last_update_timestamp_seconds"
_SAMPLE = re.compile(r"^([a-z_][a-z0-9_]*(?:\{[^}]*\})?) (\S+)$")


class TrialServer:
    """Start it with :meth:`start`, in the main thread: it ends with the thread that started it. End
    it with :meth:`close`. ``max_queued``: requests that may wait."""

    def __init__(self, engine: Path, *, max_queued: int) -> None:
        self._engine = engine.resolve()
        self._max_queued = max_queued
        self._process: subprocess.Popen[str] | None = None
        self.log = KeptLog()
        """Of the last start."""
        self._run_dir: Path | None = None
        self._ports = Ports(0, 0, 0)

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self._ports.grpc}"

    @property
    def run_dir(self) -> Path:
        assert self._run_dir is not None
        return self._run_dir

    def start(self, timeout: float) -> float:
        """Return the seconds until it was ready. Raises :class:`ServeError` with its last words."""
        self.close()
        self._run_dir = new_folder("gemma4-trial-")
        self._ports = claim_ports("127.0.0.1", Ports(0, 0, 0))
        self.log = KeptLog()
        began = time.monotonic()
        command = [
            sys.executable, "-m", "gemma4_cli", "serve", "--engine", str(self._engine),
            "--http-port", str(self._ports.http), "--grpc-port", str(self._ports.grpc),
            "--metrics-port", str(self._ports.metrics), "--run-dir", str(self._run_dir),
            "--max-queued", str(self._max_queued), "--start-timeout", str(max(1.0, timeout)),
            "--grace", "60", "--quality-gate", "report", "--quality-gate-interval", "0",
            # With what Triton, and TensorRT-LLM in its worker, write in forms of their own.
            "--log-format", "text", "--verbose",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-ISE", tied.__file__, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        reader = Thread(target=_read, args=(self._process, self.log), daemon=True)
        reader.start()
        try:
            self.wait(self.ready, timeout, "ready")
        except (ServeError, TimeoutError) as error:
            self._end()
            reader.join(2)
            words = "\n".join(self.log.end(_WORDS))
            raise ServeError(f"{error}\n{words}") from None
        return time.monotonic() - began

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def ready(self) -> bool:
        """Return whether the model takes requests and the metrics can be read."""
        try:
            self._get(self._ports.http, "/v2/models/gemma4/ready")
            return bool(self.metrics())
        except OSError:
            return False

    def triton_version(self) -> str:
        """Return what the server says of itself. Raises :class:`OSError`."""
        return str(json.loads(self._get(self._ports.http, "/v2"))["version"])

    def metrics(self) -> dict[str, float]:
        """Return all samples of ``/metrics`` by name and labels, as they are written there. Raises
        :class:`OSError`."""
        found = map(_SAMPLE.match, self._get(self._ports.metrics, "/metrics").splitlines())
        return {match[1]: float(match[2]) for match in found if match}

    def metric(self, name: str) -> float | None:
        """Return the sum of a family's samples; None where it has none."""
        values = [v for key, v in self.metrics().items() if key.partition("{")[0] == name]
        return sum(values) if values else None

    def wait_counted(self, seconds: float) -> None:
        """Wait until all that happened before this call is in the metrics. Raises as
        :meth:`wait`.

        Every update has a stamp of its own, from its beginning. The first new one may have begun
        before this call, so the second has everything; it has ended when the third is there."""
        stamps = {self.metric(_UPDATED)}

        def third() -> bool:
            stamps.add(self.metric(_UPDATED))
            return len(stamps) > 3

        self.wait(third, seconds, "counted")

    def _get(self, port: int, path: str) -> str:
        with open_local(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            text: str = reply.read().decode()
        return text

    def read(self, field: Field) -> int:
        """Return a word of the status board. Raises :class:`OSError` where there is none."""
        board = Board(self.run_dir / BOARD_NAME)
        try:
            return board[field]
        finally:
            board.close()

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait until ``condition``; return the seconds it took. Raises :class:`TimeoutError`, and
        :class:`ServeError` when the server ended."""
        began = time.monotonic()
        while not condition():
            if not self.running():
                raise ServeError(f"the server ended before it was {what}")
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"the server was not {what} after {seconds:.0f} s")
            time.sleep(_POLL_S if seconds > 5 else 0.005)
        return time.monotonic() - began

    def wait_idle(self, seconds: float = 60.0) -> float:
        """Wait until no request is in the engine; return the seconds it took."""
        fields = (Field.IN_FLIGHT, Field.ACTIVE, Field.QUEUED)
        board = Board(self.run_dir / BOARD_NAME)
        began = time.monotonic()
        try:
            while any(board[field] for field in fields):
                if time.monotonic() - began > seconds:
                    raise TimeoutError(f"the engine was not idle after {seconds:.0f} s")
                time.sleep(0.005)
        finally:
            board.close()
        return time.monotonic() - began

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes, those of Triton and the engine included."""
        if self._process is None:
            return []
        try:
            own = psutil.Process(self._process.pid)
            return [own, *own.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def engine_process(self) -> int:
        """Return the process id of what computes: a worker of TensorRT-LLM, or the engine step."""
        for process in self.processes():
            try:
                if _WORKER in process.cmdline():
                    return process.pid
            except psutil.Error:
                continue
        return self.read(Field.ENGINE_PID)

    def terminate(self) -> None:
        """Let it drain."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)

    def exit_status(self, seconds: float) -> int:
        """Wait for the end of a server that drains. Raises :class:`TimeoutError`."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the server had not ended {seconds:.0f} s after SIGTERM") from None

    def close(self) -> None:
        """End it at once, and remove what it leaves. Nothing for one that was never started."""
        self._end()
        if self._run_dir is not None:
            shutil.rmtree(self._run_dir, ignore_errors=True)
            self._run_dir = None

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGQUIT)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read(process: subprocess.Popen[str], log: KeptLog) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        log.add(line)
