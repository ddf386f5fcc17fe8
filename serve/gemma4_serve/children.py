"""The processes of a running server: which one ended or stands still, and why.

Triton starts one process for each instance of a model and never starts it again. It says "ready"
of a model whose process is gone, so its word is not enough.
"""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from gemma4_runtime.processes.heartbeat import read_signs
from gemma4_runtime.restarts import RestartReason

from gemma4_serve.liveness import Liveness
from gemma4_serve.proc import cause_of_death, model_of, name_of, runs
from gemma4_serve.triton_wait import TritonWait

__all__ = ["LAST_STEPS", "Children", "Loss"]

_LOOK_S = 0.2
"""Seconds between two looks at the processes."""
_SEARCH_S = 10.0
"""To list the processes of a machine takes some 30 ms."""
_HEALED = ("preparation",)
"""Replaced by the process that started it, without harm to answers that are under way."""
LAST_STEPS = ("postprocessing", "nvidia_postprocessing")
"""The models after the engine."""
_NEEDED = ("engine", *LAST_STEPS, "tritonserver")
"""By answers that are under way."""


@dataclass(frozen=True, slots=True)
class Loss:
    """``process``: a model's name, or a program's."""

    process: str
    pid: int
    reason: RestartReason
    cause: str

    def __str__(self) -> str:
        return f"{self.process} (process {self.pid}) {self.cause}"


@dataclass(frozen=True, slots=True)
class _Child:
    pid: int
    pidfd: int
    name: str


class Children:
    """Watches the server ``pid``, its model processes, and what those have started. Make it when
    the server is ready: what runs then must go on to run."""

    def __init__(self, pid: int, run_dir: Path) -> None:
        self._server = psutil.Process(pid)
        self._children = [
            _Child(child.pid, os.pidfd_open(child.pid), model)
            for child in self._server.children()
            if (model := model_of(child.pid)) is not None
        ]
        self._alive = {pid: Liveness(pid)}
        self._alive |= {
            child.pid: Liveness(child.pid, beat=partial(self._beat, child.pid))
            for child in self._children
        }
        self._run_dir = run_dir
        self._signs: dict[int, tuple[float, float] | None] = {}
        self._waits = {child.pid: TritonWait() for child in self._children}
        self._next_look = self._next_search = 0.0
        self._poll = select.poll()
        for child in self._children:
            self._poll.register(child.pidfd, select.POLLIN)

    @property
    def names(self) -> dict[int, str]:
        """Of the model processes, by process id."""
        return {child.pid: child.name for child in self._children}

    def wait(self, timeout: float) -> Loss | None:
        """Wait until a process ended or stands still, for at most ``timeout`` seconds."""
        end = time.monotonic() + timeout
        while True:
            left = max(0.0, min(end, self._next_look) - time.monotonic())
            if ended := self._poll.poll(left * 1000):
                return self._ended(ended[0][0])
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + _LOOK_S
                if loss := self.still(now):
                    return loss
            if now >= end:
                return None

    def still(self, now: float) -> Loss | None:
        """Return a process that stands still; one that has ended is none. ``now``:
        :func:`time.monotonic`."""
        if now >= self._next_search:
            self._next_search = now + _SEARCH_S
            self._search()
        self._signs = {pid: read_signs(self._run_dir, pid) for pid in self._waits}
        for pid, alive in self._alive.items():
            if still := alive.look(now):
                return Loss(name_of(pid), pid, still.reason, still.cause)
        for pid, wait in self._waits.items():
            if seconds := wait.look(now, self._signs[pid]):
                cause = (
                    f"did not answer {name_of(pid)} for {seconds:.1f} s; its gRPC has probably "
                    "locked itself"
                )
                return Loss(name_of(self._server.pid), self._server.pid, "stuck", cause)
        return None

    def _beat(self, pid: int) -> float | None:
        signs = self._signs.get(pid)
        return None if signs is None else signs[0]

    def lost_while_draining(self, now: float) -> Loss | None:
        """Do as :meth:`wait`, of what accepted requests need; Triton ends the rest by itself."""
        for child in self._children:
            if child.name == "engine" and not runs(child.pid):
                return _crash(child)
        loss = self.still(now)
        return loss if loss is not None and loss.process in _NEEDED else None

    def killed(self, *models: str) -> bool:
        """Return whether a process of one of ``models`` was ended by a signal; Triton ends them by
        itself too."""
        return any(
            "signal" in cause_of_death(child.pid)
            for child in self._children
            if child.name in models and not runs(child.pid)
        )

    def close(self) -> None:
        for child in self._children:
            os.close(child.pidfd)
        self._children.clear()

    def _ended(self, pidfd: int) -> Loss:
        return _crash(next(each for each in self._children if each.pidfd == pidfd))

    def _search(self) -> None:
        """Watch what model processes have started, such as a worker of TensorRT-LLM."""
        try:
            found = {process.pid for process in self._server.children(recursive=True)}
        except psutil.NoSuchProcess:
            return
        for pid in found - self._alive.keys():
            if name_of(pid) not in _HEALED:
                self._alive[pid] = Liveness(pid)
        for pid in self._alive.keys() - found - {self._server.pid}:
            del self._alive[pid]


def _crash(child: _Child) -> Loss:
    return Loss(child.name, child.pid, "crashed", cause_of_death(child.pid))
