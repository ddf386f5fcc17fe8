"""``gemma4 serve``: keep one server running until told to stop.

When the engine's process is lost (killed, crashed), Triton cannot tell: it would keep its streams
open for ever. So the supervisor kills the whole server, which ends every stream with an error at
once and makes readiness false, and starts it again. After ``restarts`` losses it gives up with
exit code 1, for a container's restart policy or a person to see.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

from gemma4_runtime.manifest import Manifest
from gemma4_runtime.server.access_log import log_event

from gemma4_serve.banner import banner
from gemma4_serve.exposure import check_host
from gemma4_serve.install import find_triton
from gemma4_serve.logs import LogPump
from gemma4_serve.process import ServerOptions, TritonProcess

__all__ = ["Supervisor"]

_TURN_S = 0.2
EXIT_LOST = 1


class Supervisor:
    """Run with :meth:`run` in the main thread."""

    def __init__(
        self,
        options: ServerOptions,
        manifest: Manifest,
        log: LogPump,
        *,
        grace: float,
        start_timeout: float,
        restarts: int,
        say: Callable[[str], None] = print,
    ) -> None:
        self._options = options
        self._manifest = manifest
        self._log = log
        self._grace = grace
        self._start_timeout = start_timeout
        self._restarts = restarts
        self._say = say
        self._signals = 0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code. Raises
        :class:`~gemma4_serve.errors.ServeError` when the first start fails."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        install = find_triton(self._options.run_dir)
        check_host(install, self._options.host, allow_remote=self._options.allow_remote_embedded)
        losses = 0
        while True:
            started = time.monotonic()
            server = TritonProcess(self._options, install, self._log)
            try:
                server.wait_ready(self._start_timeout)
                seconds = time.monotonic() - started
                self._say(banner(self._options, self._manifest, seconds=seconds))
                sys.stdout.flush()
                if not self._watch(server):
                    return self._shut_down(server)
            except BaseException:
                server.kill()
                raise
            server.kill()
            losses += 1
            log_event("engine_lost", level="error", losses=losses, restarts=self._restarts)
            if losses > self._restarts:
                return EXIT_LOST

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            raise KeyboardInterrupt

    def _watch(self, server: TritonProcess) -> bool:
        """True when the engine or the server was lost, False when we were told to stop."""
        while not self._signals:
            if server.wait_end(_TURN_S):
                return not self._signals
        return False

    def _shut_down(self, server: TritonProcess) -> int:
        log_event("draining", grace_s=self._grace)
        finished = server.drain(self._grace)
        server.stop()
        log_event("stopped", all_answers_finished=finished)
        return 0
