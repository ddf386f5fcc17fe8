"""Notice a start that cannot succeed, long before its time is over."""

from __future__ import annotations

import psutil

from gemma4_serve.liveness import Liveness
from gemma4_serve.proc import cause_of_death, model_of, name_of, runs

__all__ = ["StartWatch"]

_HOPE_S = 5.0
"""A server that lost a model's process ends by itself with the reason, most often; Triton may also
start the process again and again."""
_LOOK_S = 0.2
"""Seconds between two looks at a server that starts."""


class StartWatch:
    """Of the server ``pid`` while it loads its models."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._next_look = 0.0
        self._names: dict[int, str] = {}
        self._ended: set[int] = set()
        self._alive = {pid: Liveness(pid)}
        self._death: tuple[float, str] | None = None

    def trouble(self, now: float) -> str | None:
        """Return what went wrong for good, or None. ``now``: :func:`time.monotonic`."""
        if now < self._next_look:
            return None
        self._next_look = now + _LOOK_S
        self._look(now)
        if self._death is not None and now - self._death[0] > _HOPE_S:
            return self._death[1]
        for pid, alive in self._alive.items():
            if still := alive.look(now):
                return f"{name_of(pid)} (process {pid}) {still.cause}"
        return None

    def _look(self, now: float) -> None:
        try:
            children = psutil.Process(self._pid).children()
        except psutil.NoSuchProcess:
            return
        running = {child.pid for child in children if runs(child.pid)}
        ended = {child.pid for child in children if child.pid not in running and _is_stub(child)}
        ended |= self._names.keys() - running
        for pid in ended - self._ended:
            self._ended.add(pid)
            self._alive.pop(pid, None)
            if self._death is None:
                name = self._names.get(pid, "a model")
                self._death = (now, f"{name} (process {pid}) {cause_of_death(pid)}")
        for pid in running:
            if (model := model_of(pid)) is not None:
                self._names[pid] = model
                self._alive.setdefault(pid, Liveness(pid))


def _is_stub(process: psutil.Process) -> bool:
    """Return whether the process is a stub. Of a zombie, Linux still tells the first 15 characters
    of its program's name."""
    try:
        return process.name().startswith("triton_python")
    except psutil.Error:
        return False
