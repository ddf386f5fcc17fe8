"""Clocks what the metrics of a server cost, for bench/metrics_cost.py alone: Python imports this
before anything else where this folder is in PYTHONPATH.

Each process writes a JSON object to its file in the folder GEMMA4_BENCH_CLOCK after every update:
how often it did what, and the CPU seconds of the thread that publishes.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gemma4_runtime.metrics import publisher
from gemma4_runtime.server.engine_metrics import EngineMetrics

FOLDER = Path(os.environ["GEMMA4_BENCH_CLOCK"])
BURST_FILE = FOLDER / "burst"
"""When this file appears, the engine step sends ``BURST`` messages, while nothing else goes on."""
BURST = 5000
ENGINE = b"/engine/1/model.py"
"""In the command line of the engine step."""
calls: Counter[str] = Counter()


def counted(name: str, action: Callable[..., None]) -> Callable[..., None]:
    def call(*args: Any, **named: Any) -> None:
        calls[name] += 1
        action(*args, **named)

    return call


class Families:
    """``pb_utils.MetricFamily`` that counts the messages."""

    def __init__(self, kinds: Any) -> None:
        self._kinds = kinds
        self.COUNTER, self.GAUGE = kinds.COUNTER, kinds.GAUGE

    def __call__(self, **named: Any) -> Family:
        return Family(self._kinds(**named))


class Family:
    def __init__(self, family: Any) -> None:
        self._family = family

    def Metric(self, *, labels: Mapping[str, str]) -> Metric:  # noqa: N802 - Triton's name
        return Metric(self._family.Metric(labels=labels))


class Metric:
    def __init__(self, metric: Any) -> None:
        self.increment = counted("messages", metric.increment)
        self.set = counted("messages", metric.set)


class ClockedPublisher(publisher.Publisher):
    def __init__(self, store: Any, make_family: Any, **named: Any) -> None:
        self._spent = 0.0
        self._family = make_family(
            name="bench", description="Of no meaning", kind=make_family.GAUGE
        )
        self._gauge = self._family.Metric(labels={"pid": str(os.getpid())})
        super().__init__(store, Families(make_family), **named)

    def publish(self, histograms: publisher.Histograms = "all") -> None:
        started = time.thread_time()
        super().publish(histograms)
        self._spent += time.thread_time() - started
        line = json.dumps({**calls, "publishing_s": self._spent})
        (FOLDER / f"{os.getpid()}.clock").write_text(line)
        if ENGINE in Path("/proc/self/cmdline").read_bytes() and BURST_FILE.exists():
            self._burst()

    def _burst(self) -> None:
        """Send messages and note what Triton's process, the parent, spends on each."""
        before = cpu_s(os.getppid())
        for value in range(BURST):
            self._gauge.set(value)
        BURST_FILE.with_suffix(".result").write_text(str((cpu_s(os.getppid()) - before) / BURST))
        BURST_FILE.unlink()


def cpu_s(pid: int) -> float:
    """Seconds of CPU of all threads, from the scheduler's own clocks in nanoseconds."""
    spent = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended just now
            spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


publisher.Publisher = ClockedPublisher  # type: ignore[misc]
for name in ("tokens", "ended"):
    setattr(EngineMetrics, name, counted(name, getattr(EngineMetrics, name)))
