"""One tritonserver process: start, wait until ready, watch, drain, stop."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import psutil
from gemma4_runtime import settings as names
from gemma4_runtime.local_http import open_local
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.processes.heartbeat import BEATS_NAME
from gemma4_runtime.restarts import RestartReason, write_restarts
from gemma4_runtime.server.board import BOARD_NAME, Board, Field
from gemma4_runtime.server.control import CONTROL_NAME, ControlClient

from gemma4_serve import tied
from gemma4_serve.aliases import write_aliases
from gemma4_serve.children import LAST_STEPS, Children, Loss
from gemma4_serve.errors import ServeError, StartCrashError
from gemma4_serve.exposure import closing_arguments, inspected, without_platforms
from gemma4_serve.group import end_group
from gemma4_serve.hosts import grpc_form, http_form, in_url
from gemma4_serve.install import TritonInstall
from gemma4_serve.liveness import STUCK_S
from gemma4_serve.logs import LogPump
from gemma4_serve.ports import Ports
from gemma4_serve.probe import LiveProbe
from gemma4_serve.proc import crashed, describe_status, runs
from gemma4_serve.run_folder import close_regions, shared_memory_prefix
from gemma4_serve.sent import at_rest, wait_sent
from gemma4_serve.starting import StartWatch
from gemma4_serve.tls import GrpcTls, tls_arguments
from gemma4_serve.trace_headers import trace_arguments
from gemma4_serve.triton_version import ask_version

__all__ = ["HTTP_BESIDE_TLS", "ServerOptions", "TritonProcess"]

HTTP_BESIDE_TLS = "127.0.0.1"
"""Where Triton's HTTP, which has no TLS, listens when its gRPC has."""

_POLL_S = 0.05
"""Seconds between two looks while the server starts or ends."""
_BOARD_S = 1.0
"""Seconds between two looks at the board of a server that runs."""
_TELL_S = 0.5
"""For the clients of answers that were cut to hear of it."""
_QUIET_S = 1.5
"""At most, until what was sent before Triton closes its endpoints has left, with the ends of feeds.
The engine waits twice as long to go on by itself."""
_SETTLE_S = 0.3
"""At least, for the last chunks to leave Triton."""
_SEND_S = 5.0
"""At most, for the same on a busy machine, or to a client that does not read."""
_CLOSE_S = 10.0
"""For the engine to free its GPUs, which the next start needs."""
_PUMP_S = 2.0
"""Seconds that the last lines of a server that has ended have to be read."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to start a server. ``threads``, ``slots``, ``max_queued`` None: the manifest's.
    ``grace``: seconds that running answers get at the end. ``quality_gate`` and its interval: see
    :class:`~gemma4_runtime.settings.Settings`. ``inspection``: whether clients may read models'
    configuration and statistics; None: on loopback only. ``aliases``: further names of the
    ensemble. ``overlay``: a second model repository. ``tls``: of the gRPC service; HTTP, which can
    have none, is on loopback then."""

    engine: Path
    repository: Path
    run_dir: Path
    host: str
    ports: Ports
    threads: int | None = None
    slots: int | None = None
    max_queued: int | None = None
    gpu_device_ids: str | None = None
    grace: float = 30.0
    quality_gate: str = "report"
    quality_gate_interval: float | None = None
    allow_remote_embedded: bool = False
    inspection: bool | None = None
    aliases: tuple[str, ...] = ()
    overlay: Path | None = None
    tls: GrpcTls | None = None

    @property
    def http_host(self) -> str:
        return self.host if self.tls is None else HTTP_BESIDE_TLS


class TritonProcess:
    """A started server. It gets its own process group, so that a Ctrl-C in the terminal reaches
    only us and running answers can finish; it ends with us, however we end."""

    def __init__(
        self,
        options: ServerOptions,
        install: TritonInstall,
        log: LogPump,
        *,
        restarts: Mapping[RestartReason, int],
    ) -> None:
        """Call this in the main thread: Linux ends the server with the thread that started it.
        ``restarts`` so far are for the server's metrics."""
        self._options = options
        self._log = log
        log.forget()
        self._shm_prefix = shared_memory_prefix()
        shutil.rmtree(options.run_dir / BEATS_NAME, ignore_errors=True)
        (options.run_dir / BOARD_NAME).unlink(missing_ok=True)
        env = without_platforms(os.environ) | install.env | self._model_env(install)
        env[names.RESTARTS] = write_restarts(restarts)
        self._process = subprocess.Popen(
            [sys.executable, "-ISE", tied.__file__, str(os.getpid()), *self._command(install)],
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
        self._children: Children | None = None
        self._probe: LiveProbe | None = None
        self._closed = False
        self._next_board = 0.0

    def _model_env(self, install: TritonInstall) -> dict[str, str]:
        options = self._options
        env = {
            names.ENGINE_DIR: install.path(options.engine),
            names.RUN_DIR: install.path(options.run_dir),
            names.SHM_PREFIX: self._shm_prefix,
        }
        for name, value in (
            (names.THREADS, options.threads),
            (names.SLOTS, options.slots),
            (names.MAX_QUEUED, options.max_queued),
            (names.GPU_DEVICE_IDS, options.gpu_device_ids),
            (names.QUALITY_GATE, options.quality_gate),
            (names.QUALITY_GATE_INTERVAL, options.quality_gate_interval),
        ):
            if value is not None:
                env[name] = str(value)
        return env

    def _command(self, install: TritonInstall) -> list[str]:
        options, ports = self._options, self._options.ports
        named = write_aliases(options.aliases, options.repository, options.run_dir)
        more = [folder for folder in (named, options.overlay) if folder is not None]
        exit_timeout = math.ceil(options.grace + _CLOSE_S + _TELL_S)
        return [
            str(install.binary),
            f"--model-repository={install.path(options.repository)}",
            *(f"--model-repository={install.path(folder)}" for folder in more),
            f"--backend-directory={install.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shm_prefix}",
            "--disable-auto-complete-config",
            f"--exit-timeout-secs={exit_timeout}",
            f"--http-address={http_form(options.http_host)}",
            f"--http-port={ports.http}",
            f"--grpc-address={grpc_form(options.host)}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={http_form(options.host)}",
            f"--metrics-port={ports.metrics}",
            # Clients and load balancers may ping idle connections every 10 s.
            "--grpc-keepalive-permit-without-calls=true",
            "--grpc-http2-min-recv-ping-interval-without-data=10000",
            *closing_arguments(inspection=inspected(options.host, options.inspection)),
            *tls_arguments(options.tls, install),
            *trace_arguments(os.environ),
        ]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def model_processes(self) -> dict[int, str]:
        """Model names by process id, of a server that was ready."""
        return self._children.names if self._children is not None else {}

    def _pids_of(self, models: Collection[str]) -> list[int]:
        return [pid for pid, name in self.model_processes.items() if name in models]

    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, timeout: float, *, asked_to_stop: Callable[[], bool]) -> bool:
        """Wait until the ensemble is ready, which the engine's first answer precedes, and the
        metrics are, which Triton serves last; False when asked to stop before. From the first on it
        takes requests, so one that is asked to stop then counts as ready: it has to drain. Raises
        :class:`ServeError` with the server's own words when it ends, loses a process for good, or
        takes too long; :class:`StartCrashError` when it crashes."""
        watch = StartWatch(self._process.pid)
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            stop = asked_to_stop()  # asked first: what was accepted before is seen below
            close_regions(self._shm_prefix)
            serves = _answers(self._url("/v2/models/gemma4/ready"))
            if stop and not serves:
                return False
            ended = not self.running()
            trouble = self._ending() if ended else watch.trouble(time.monotonic())
            if trouble:
                self.kill()  # also lets the pump read to the end
                # That models have ended tells nothing: they end with a server that aborts, some
                # before Linux has ended all of it.
                itself = ended and not self._log.refused_a_model
                crash = itself and crashed(self._process.returncode)
                kind = StartCrashError if crash else ServeError
                raise kind(f"{trouble} while it started:\n{self._log.last_words()}")
            if serves and (stop or _answers(self._metrics_url())):
                close_regions(self._shm_prefix)
                try:
                    self._children = Children(self._process.pid, self._options.run_dir)
                except (ProcessLookupError, psutil.NoSuchProcess):
                    continue  # one has just ended; the next turn says which
                self._probe = LiveProbe(self._url("/v2/health/live"))
                return True
            time.sleep(_POLL_S)
        raise ServeError(f"the server was not ready after {timeout:.0f} s; see its log (--verbose)")

    def _ending(self) -> str:
        return f"the server {describe_status(self._process.returncode)}"

    def _url(self, path: str) -> str:
        return f"http://{in_url(self._options.http_host)}:{self._options.ports.http}{path}"

    def _metrics_url(self) -> str:
        options = self._options
        return f"http://{in_url(options.host)}:{options.ports.metrics}/metrics"

    def triton_version(self) -> str:
        """Return the version that a ready server says it has; empty where it says none."""
        return ask_version(self._url("/v2"))

    def board(self) -> Board:
        return Board(self._options.run_dir / BOARD_NAME)

    def wait_loss(self, timeout: float) -> Loss | None:
        """Wait up to ``timeout`` seconds for a process of a ready server to end or stand still."""
        assert self._children is not None and self._probe is not None
        loss = self._children.wait(timeout)
        close_regions(self._shm_prefix)
        if not self.running():
            return self._crash()
        if loss is not None:
            return loss
        now = time.monotonic()
        if cause := self._probe.deaf(now) or self._emitters_stand(now):
            return Loss("tritonserver", self.pid, "stuck", cause)
        return None

    def _crash(self) -> Loss:
        """Return the loss of the server itself, which has ended."""
        return Loss("tritonserver", self.pid, "crashed", describe_status(self._process.returncode))

    def _emitters_stand(self, now: float) -> str | None:
        if now < self._next_board:
            return None
        self._next_board = now + _BOARD_S
        board = self.board()
        try:
            silent = now - board[Field.BEAT_NS] / 1e9
        finally:
            board.close()
        return f"sent no chunk and no question for {silent:.0f} s" if silent > STUCK_S else None

    def drain(self, *, hurry: Callable[[], bool]) -> bool:
        """Take no request any more, be not ready once no answer of an ensemble runs, and wait for
        the accepted ones; True when all of them ended. ``hurry``: do not wait any longer."""
        control = ControlClient(self._options.run_dir / CONTROL_NAME)
        told = control.send("drain")
        finished = told and self._wait_idle(self._options.grace, hurry, control)
        if not finished:
            if not self.running():
                log_event("lost_while_draining", level="error", loss=str(self._crash()))
            control.send("abort")
            self._wait_idle(_TELL_S, hurry, control)
        control.close()
        # The ensemble's answers end with an error then, though the engine has finished them.
        return finished and not (self._children and self._children.killed(*LAST_STEPS))

    def _close_endpoints(self, control: ControlClient) -> None:
        """Have Triton be not ready from now on. What it has accepted goes on, but for answers of an
        ensemble over gRPC: Triton 2.51 sends nothing of them any more. Before, the engine ends its
        feeds (:mod:`gemma4_runtime.server.streams.feed`), and sends nothing until that has left."""
        if self.running() and not self._closed:
            self._closed = True
            control.send("hold")
            ports = self._options.ports
            wait_sent((self.pid,), (ports.grpc, ports.http), least=_POLL_S, most=_QUIET_S)
            self._process.terminate()
            control.send("resume")

    def _wait_idle(self, seconds: float, hurry: Callable[[], bool], control: ControlClient) -> bool:
        board, end = self.board(), time.monotonic() + seconds
        alone_since = 0.0  # when an answer of an ensemble was last seen, or a last step at work
        try:
            while time.monotonic() < end and self.running() and not hurry():
                now = time.monotonic()
                if board[Field.IN_ENSEMBLE] or not all(map(at_rest, self._pids_of(LAST_STEPS))):
                    alone_since = now
                elif board[Field.DRAINING] and now - alone_since > _SETTLE_S:
                    self._close_endpoints(control)
                if board[Field.DRAINING] and board[Field.IN_FLIGHT] == 0:
                    return True
                if self._children is not None and (loss := self._children.lost_while_draining(now)):
                    log_event("lost_while_draining", level="error", loss=str(loss))
                    return False
                time.sleep(_POLL_S)
            return bool(board[Field.DRAINING] and board[Field.IN_FLIGHT] == 0)
        finally:
            board.close()

    def stop(self) -> None:
        """Stop after :meth:`drain`: let the engine close, then end what is left. Triton itself
        would take seconds to unload models that nobody needs."""
        if self._children is None:  # it never was ready
            self.kill()
            return
        ports = self._options.ports
        sending = [self.pid, *self._pids_of(LAST_STEPS)]
        if not wait_sent(sending, (ports.grpc, ports.http), least=_SETTLE_S, most=_SEND_S):
            log_event("left_unsent", level="warning", after_s=_SEND_S)
        engines = self._pids_of(("engine",))
        control, board = ControlClient(self._options.run_dir / CONTROL_NAME), self.board()
        control.send("release")
        end = time.monotonic() + _CLOSE_S
        while any(map(runs, engines)) and not board[Field.RELEASED]:
            now = time.monotonic()
            if now > end or self._children.lost_while_draining(now):
                log_event("killed_the_engine", level="warning", after_s=_CLOSE_S)
                break
            time.sleep(_POLL_S)
        control.close()
        board.close()
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to the whole group: every open connection breaks at once."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        end_group(self._process.pid, 0)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._children is not None:
            self._children.close()
        if self._probe is not None:
            self._probe.close()
        for region in Path("/dev/shm").glob(f"{self._shm_prefix}*"):
            region.unlink(missing_ok=True)
        self._pump.join(timeout=_PUMP_S)


def _answers(url: str) -> bool:
    try:
        with open_local(url, timeout=1):
            return True
    except OSError:
        return False
