"""The metrics of all workers as one, by prometheus_client's multiprocess mode.

Each worker keeps its values in files of memory, named by its number, and whoever is asked adds them
up. A worker that takes the place of another goes on with the same files, so that no counter ever
falls and there is never a file more; only the files of what lives (``gauge_live*``) go with it. The
mode cannot drop a label again, so those of back ends that have gone are left out when it is read.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from gemma4_gateway.settings import SettingsError
from gemma4_gateway.workers.board import Board

__all__ = ["MetricFiles", "Workers"]

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_MEMORY = Path("/dev/shm")
"""Of memory: a file that cannot grow on a full disk ends the process that writes to it."""


class MetricFiles:
    """Made by the supervisor. Raises :class:`~gemma4_gateway.settings.SettingsError` where no
    folder can be made."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.folder = _make_folder()

    def use(self, worker: int) -> None:
        """Have all metrics that this process makes from now on in the files of ``worker``."""
        os.environ[_VARIABLE] = str(self.folder)
        values.ValueClass = values.MultiProcessValue(lambda: worker)  # type: ignore[no-untyped-call]

    def render(self, backends: Collection[str]) -> bytes:
        """Return the text exposition format: all workers together, of these back ends alone."""
        registry = CollectorRegistry()
        registry.register(_Sum(self.folder, backends))
        registry.register(Workers(self._board))
        return generate_latest(registry)

    def ended(self, worker: int) -> None:
        """Drop what only a worker that lives tells."""
        mark_process_dead(worker, str(self.folder))  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Remove the folder, when no worker is left."""
        shutil.rmtree(self.folder, ignore_errors=True)


class _Sum(Collector):
    def __init__(self, folder: Path, backends: Collection[str]) -> None:
        self._files = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]
        self._backends = backends

    def collect(self) -> Iterator[Metric]:
        for metric in self._files.collect():  # type: ignore[no-untyped-call]
            metric.samples = [
                s for s in metric.samples if s.labels.get("backend") in (None, *self._backends)
            ]
            yield metric


class Workers(Collector):
    """How many workers serve, and how many were started again."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "gemma4_gateway_workers", "Worker processes that serve", self._board.serving
        )
        yield CounterMetricFamily(
            "gemma4_gateway_worker_restarts", "Workers started again", self._board.restarts
        )


def _make_folder() -> Path:
    for base in (_MEMORY, None):
        try:
            return Path(tempfile.mkdtemp(prefix="gemma4-gateway-", dir=base))
        except OSError as error:
            problem = f"{error.filename or base}: {error.strerror}"
    raise SettingsError(
        f"--workers: the metrics of several workers need a folder, and none can be made ({problem})"
        "; have /dev/shm or TMPDIR writable, or give --workers 1"
    )
