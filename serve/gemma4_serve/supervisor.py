"""``gemma4 serve``: keep one server running until told to stop.

When a process of the server is lost (killed, crashed, frozen), Triton cannot tell: it says that it
is ready and leaves requests open forever. So the supervisor kills the whole server, which ends
every stream with an error at once and makes readiness false, and starts it again. Losses that come
too often end it with exit status 1, for a container's restart policy or a person to see.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.logs.writer import writer_of
from gemma4_runtime.manifest import Manifest
from gemma4_runtime.restarts import RestartReason
from gemma4_runtime.server.board import BOARD_NAME

from gemma4_serve.banner import banner
from gemma4_serve.children import Loss
from gemma4_serve.errors import ServeError, StartCrashError
from gemma4_serve.exposure import check_host
from gemma4_serve.health import Health
from gemma4_serve.health_server import HealthServer
from gemma4_serve.install import TritonInstall, find_triton
from gemma4_serve.logs import LogPump
from gemma4_serve.process import ServerOptions, TritonProcess
from gemma4_serve.restarts import RestartPolicy
from gemma4_serve.tls import Renewals
from gemma4_serve.triton_version import outdated

__all__ = ["EXIT_CUT", "EXIT_LOST", "EXIT_QUIT", "Supervisor"]

EXIT_LOST = 1
"""The server was lost too often."""
EXIT_CUT = 3
"""Stopped as asked, but answers were cut off."""
EXIT_QUIT = 128 + signal.SIGQUIT
_START_RETRIES = 2
"""How often a start in which Triton itself crashed is tried again. Triton 2.51 does so at times on
a machine that is very busy."""
_TURN_S = 0.2
"""Seconds to wait for a loss before signals are looked at again."""
_POLL_S = 0.05
"""Seconds between two looks during a pause."""
_DRAIN = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Run with :meth:`run` in the main thread. ``say`` shows a text to a person; it must neither
    raise nor wait."""

    def __init__(
        self,
        options: ServerOptions,
        manifest: Manifest,
        log: LogPump,
        *,
        start_timeout: float,
        restarts: RestartPolicy,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._options = options
        self._manifest = manifest
        self._log = log
        self._start_timeout = start_timeout
        self._restarts = restarts
        self._say = say or writer_of(1).write
        self._health = Health(options.run_dir / BOARD_NAME)
        self._signals = 0
        self._quit = False

    def run(self) -> int:
        """Serve until SIGTERM, SIGINT or SIGHUP (running answers finish first; a second one cuts
        them) or SIGQUIT (at once); returns the exit status. Raises
        :class:`~gemma4_serve.errors.ServeError` when the first start fails. One in which Triton
        itself crashed is tried again."""
        for number in (*_DRAIN, signal.SIGQUIT):
            signal.signal(number, self._on_signal)
        install = find_triton(self._options.run_dir)
        check_host(install, self._options.host, allow_remote=self._options.allow_remote_embedded)
        with self._health_server():
            return self._keep(install)

    @contextmanager
    def _health_server(self) -> Iterator[None]:
        port, host = self._options.ports.health, self._options.host
        if port is None:
            yield
            return
        try:
            server = HealthServer(host, port, self._health)
        except OSError as error:
            raise ServeError(
                f"--health-port {port}: cannot listen on {host}: {error.strerror or error}; choose "
                "another port, or 0 for any free one"
            ) from None
        try:
            yield
        finally:
            server.close()

    def _keep(self, install: TritonInstall) -> int:
        first, crashes = True, 0
        while True:
            reason: RestartReason = "start_failed"
            failure: ServeError | None = None
            try:
                end = self._serve(install)
                if isinstance(end, int):
                    return end
                reason = end.reason
                first, crashes = False, 0
            except ServeError as error:
                failure = error
                again = isinstance(error, StartCrashError) and crashes < _START_RETRIES
                crashes += again
                if first and not again:
                    raise
                event = "start_crashed" if again else "restart_failed"
                log_event(event, level="error", cause=str(error))
            delay = self._restarts.lost(time.monotonic(), reason)
            if delay is None and first and failure is not None:
                raise failure
            if delay is None:
                log_event(
                    "given_up", level="error", losses=self._restarts.losses,
                    window_s=self._restarts.window,
                )  # fmt: skip
                return EXIT_LOST
            log_event(
                "restarting", level="warning", reason=reason, delay_s=delay,
                losses=self._restarts.losses,
            )  # fmt: skip
            self._health.restarting(reason)
            if not self._pause(delay):
                log_event("stopped", all_answers_finished=True)
                return EXIT_QUIT if self._quit else 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        self._quit |= number == signal.SIGQUIT

    def _asked_to_stop(self) -> bool:
        self._health.look()
        return self._signals > 0

    def _hurry(self) -> bool:
        self._health.look()
        return self._quit or self._signals > 1

    def _pause(self, seconds: float) -> bool:
        """Wait; return False when asked to stop meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._asked_to_stop():
            time.sleep(_POLL_S)
        return not self._asked_to_stop()

    def _serve(self, install: TritonInstall) -> int | Loss:
        """Serve with one server, from its start to its end: the exit status, or what was lost."""
        started = time.monotonic()
        self._health.starting()
        server = TritonProcess(self._options, install, self._log, restarts=self._restarts.counts)
        try:
            if not server.wait_ready(self._start_timeout, asked_to_stop=self._asked_to_stop):
                server.kill()
                log_event("stopped", while_starting=True)
                return EXIT_QUIT if self._quit else 0
            self._health.serving()
            seconds = time.monotonic() - started
            self._say(
                banner(
                    self._options,
                    self._manifest,
                    seconds=seconds,
                    warning=_warning(install, server),
                )
            )
            loss = self._watch(server)
            if loss is None:
                return self._shut_down(server)
        except BaseException:
            server.kill()
            raise
        self._health.restarting(loss.reason)
        server.kill()
        log_event("server_lost", level="error", process=loss.process, pid=loss.pid,
                  reason=loss.reason, cause=loss.cause)  # fmt: skip
        return loss

    def _watch(self, server: TritonProcess) -> Loss | None:
        """Watch the server; return what was lost, or None when we were told to stop."""
        renewals = Renewals(self._options.tls)
        while not self._asked_to_stop():
            renewals.look(time.monotonic())
            if loss := server.wait_loss(_TURN_S):
                return None if self._asked_to_stop() else loss
        return None

    def _shut_down(self, server: TritonProcess) -> int:
        if self._quit:
            server.kill()
            log_event("stopped", level="warning", at_once=True)
            return EXIT_QUIT
        self._health.draining()
        log_event("draining", grace_s=self._options.grace)
        finished = server.drain(hurry=self._hurry)
        if self._hurry():
            server.kill()
        else:
            server.stop()
        log_event("stopped", level="info" if finished else "warning", all_answers_finished=finished)
        return 0 if finished else EXIT_CUT


def _warning(install: TritonInstall, server: TritonProcess) -> str | None:
    """Say what is wrong with a system's Triton. The wheel's is older, which its host check says."""
    if install.embedded:
        return None
    version = server.triton_version()
    found = outdated(version)
    if found is not None:
        log_event("triton_outdated", level="warning", version=version, cause=found)
    return found
