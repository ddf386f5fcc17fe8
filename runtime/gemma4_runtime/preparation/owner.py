"""Starts the preparation process, and starts it again when it has ended or hangs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from threading import Event, Thread

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.manifest import CHAT_TEMPLATE
from gemma4_runtime.preparation.wire import Frames, Reply, Started, StartFailed, read_replies
from gemma4_runtime.processes.model_process import end_process
from gemma4_runtime.settings import load_settings

__all__ = ["PreparationOwner"]

_ENV = {"OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""The process forks, so it must have one thread."""
_START_S = 300.0
"""Seconds until a preparation process that starts must be ready."""
_END_S = 5.0
"""Seconds that the process has to end when the owner closes."""
_PAUSE_S = 0.2
"""Seconds before the process is started again."""
_WINDOW_S = 60.0
"""Seconds within which :data:`_MOST_ENDS` ends are too many."""
_MOST_ENDS = 5
"""Ends of the process within :data:`_WINDOW_S` after which the model process ends too."""


class PreparationOwner:
    """Ready when the constructor returns. Raises :class:`RuntimeError` with the cause when the
    process cannot start. Its settings come from the environment, which ``env`` overrides."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._env = {**os.environ, **_ENV, **(env or {})}
        self._keep_template()
        self._closing = Event()
        self._ends: deque[float] = deque(maxlen=_MOST_ENDS)
        self._start()
        self._thread = Thread(target=self._watch, name="preparation-owner", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """Kill a process that hangs; it is started again."""
        self._process.kill()

    def close(self) -> None:
        """End the process."""
        self._closing.set()
        self._socket.close()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            self.kill()
            self._thread.join()

    def _keep_template(self) -> None:
        """Keep the template for every process of this server to use, whatever becomes of the engine
        folder's."""
        settings = load_settings(self._env)
        try:
            settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copyfile(settings.engine_dir / CHAT_TEMPLATE, settings.run_dir / CHAT_TEMPLATE)
        except OSError as error:
            raise RuntimeError(f"the chat template cannot be kept: {error}") from None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [_python(), "-m", "gemma4_runtime.preparation.process", str(theirs.fileno())],
                env=self._env,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        ours.settimeout(_START_S)
        frames = Frames()
        found: list[Reply] = []
        while not found:
            try:
                data = ours.recv(65536)
            except TimeoutError:
                self._process.kill()
                data = b""
            if not data:
                status = self._process.wait()
                raise RuntimeError(f"the preparation process ended with {status} while starting")
            found = read_replies(frames.add(data))
        if isinstance(found[0], StartFailed):
            self._process.wait()
            raise RuntimeError(found[0].cause)
        assert isinstance(found[0], Started)

    def _watch(self) -> None:
        while True:
            status = self._process.wait()  # with a timeout Python would look 20 times a second
            if self._closing.is_set():
                return
            log_event("preparation_ended", level="error", status=status)
            self._ends.append(time.monotonic())
            if len(self._ends) == _MOST_ENDS and self._ends[-1] - self._ends[0] < _WINDOW_S:
                end_process("preparation_ends_again_and_again", times=_MOST_ENDS)
            self._closing.wait(_PAUSE_S)
            self._socket.close()
            try:
                self._start()
            except (OSError, RuntimeError) as error:
                end_process("preparation_does_not_start", error=str(error))


def _python() -> str:
    """Return the interpreter; inside Triton's stub sys.executable need not be one."""
    if "python" in os.path.basename(sys.executable or ""):  # noqa: PTH119
        return sys.executable
    found = shutil.which("python3")
    if found is None:
        raise RuntimeError("there is no python3 in PATH to start the preparation process with")
    return found
