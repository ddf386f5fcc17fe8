"""What the metrics at Triton's endpoint cost: ``python bench/metrics_cost.py``.

A server with the synthetic engine answers a load, with clocks in its processes
(bench/metrics_clock, which exists for this bench only). Printed is the CPU time of the server's
processes for 1,000 tokens, and of it: what the publishing threads took by their own clock; what
Triton took for their messages, whose price is the CPU of its process for a burst of them, sent
while nothing else went on; and counting, which is the number of calls times what one takes in this
process. What updates cost while nothing goes on, before and after the load, is taken off, since the
CPU time of then is not counted either. Comparing a server with metrics and one without shows nothing: the noise of two
measurements is several times larger than what is looked for.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemma4_runtime.engines.base import EngineInfo, EngineStats
from gemma4_runtime.metrics.publisher import HISTOGRAMS_EVERY, INTERVAL_S, Publisher
from gemma4_runtime.restarts import read_restarts
from gemma4_runtime.server.engine_metrics import EngineMetrics
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until
from host import PROMPT, Measured
from host_load import Job

CLOCK = Path(__file__).with_name("metrics_clock")
REPEATS = 20_000


class Sends:
    """As ``pb_utils.MetricFamily``; counts the messages that would go to Triton."""

    COUNTER, GAUGE = "counter", "gauge"
    count = 0

    def __init__(self, **named: Any) -> None:
        pass

    def Metric(self, *, labels: Any) -> Sends:  # noqa: N802 - Triton's name
        return self

    def increment(self, value: float) -> None:
        Sends.count += 1

    set = increment


def each_us(repeats: int, action: Callable[[], object]) -> float:
    """Microseconds of CPU of one ``action``."""
    started = time.thread_time()
    for _ in range(repeats):
        action()
    return (time.thread_time() - started) / repeats * 1e6


def counting() -> tuple[str, dict[str, float]]:
    """Return lines to print, and the microseconds of one call of what the clocks count."""
    info = EngineInfo("synthetic", "1", "none", 256, 256, 4096, 2000)
    metrics = EngineMetrics(info, version="0", model_name="demo", restarts=read_restarts(""))
    stats = EngineStats(9, 9, 256, 256, False, False, 9, 9, 0, 0, 9, 9, 9)
    record = RequestRecord(
        request_id="", key="k", streamed=True, status="OK", code="", finish_reason="stop", message="",
        prompt_tokens=9, completion_tokens=200, cached_tokens=0, chunks=200, prepare_s=0.01,
        queue_s=0.01, prefill_s=0.01, decode_s=4.0, ttft_s=0.02, total_s=4.1,
    )  # fmt: skip
    publisher = Publisher(metrics.store, Sends, refresh=lambda: metrics.state(stats), interval=3600)
    chunk = each_us(REPEATS, lambda: metrics.tokens(1, 0.02))
    request = each_us(REPEATS // 10, lambda: metrics.ended(record))

    def sent(*, busy: bool, histograms: bool) -> int:
        publisher.publish()
        metrics.tokens(1, 0.02)
        if busy:
            metrics.ended(record)
        before = Sends.count
        publisher.publish("all" if histograms else "none")
        return Sends.count - before

    lines = [f"counting: {chunk:.2f} us for a chunk, {request:.1f} us for a request"]
    for busy, what in ((False, "tokens came"), (True, "tokens came and requests ended")):
        plain, whole = (sent(busy=busy, histograms=h) for h in (False, True))
        lines.append(f"messages of an update, {what}: {plain}, with histograms {whole}")
    update = each_us(1000, lambda: publisher.publish("none"))
    lines.append(f"an update without its messages: {update:.0f} us")
    publisher.close()
    return "\n".join(lines), {"tokens": chunk, "ended": request}


def burst_us(folder: Path) -> float:
    """Microseconds of CPU of Triton's process for one message."""
    (folder / "burst").touch()
    result = folder / "burst.result"
    wait_until(lambda: result.exists() and not (folder / "burst").exists(), 60)
    return float(result.read_text()) * 1e6


REST_S = 2 * HISTOGRAMS_EVERY * INTERVAL_S + 1
"""Seconds without load until all that happened before has been sent."""


def clocks(folder: Path) -> dict[str, float]:
    """Return the sums over the processes, of updates that are over: see bench/metrics_clock."""
    found: dict[str, float] = {}
    for path in folder.glob("*.clock"):
        for name, value in json.loads(path.read_text()).items():
            found[name] = found.get(name, 0.0) + value
    return found


def measure(server: Served, folder: Path, streams: int, a: argparse.Namespace) -> str:
    """Return one line: CPU milliseconds for 1,000 tokens of the load of ``a``."""
    time.sleep(REST_S)
    at_rest = clocks(folder)
    time.sleep(REST_S)
    before = clocks(folder)
    cpu, tokens, loaded, began = 0.0, 0, 0.0, time.monotonic()
    for _ in range(a.turns):
        url = f"127.0.0.1:{server.grpc}"
        started = time.monotonic()
        run = Measured([server], Job("client", url, streams, a.tokens, PROMPT, 1 / a.rate))
        loaded += time.monotonic() - started
        cpu += sum(run.cpu.values())
        tokens += run.load.tokens
    time.sleep(REST_S)
    after = clocks(folder)
    outside = (time.monotonic() - began - loaded) / REST_S
    ran = {
        name: value - before.get(name, 0.0) - outside * (before[name] - at_rest[name])
        for name, value in after.items()
        if name in at_rest
    } | {name: after[name] for name in after if name not in at_rest}
    parts = (
        ran["publishing_s"] * 1e3,
        ran["messages"] * a.message_us / 1e3,
        sum(ran[name] * us for name, us in a.call_us.items()) / 1e3,
    )
    each = [part / tokens * 1000 for part in parts]
    total = cpu / tokens * 1e6
    shown = " ".join(f"{value:11.2f}" for value in (total, *each))
    return f"{streams:7} {shown} {sum(each) / total:8.2%} {ran['messages']:9.0f} messages in {loaded:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,64,256")
    parser.add_argument("--tokens", type=int, default=200, help="of each stream")
    parser.add_argument("--rate", type=float, default=50, help="tokens/s of a stream")
    parser.add_argument("--turns", type=int, default=7, help="runs of the load")
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    if a.turns < 1 or a.rate <= 0:
        parser.error("--turns must be at least 1 and --rate more than 0")
    printed, a.call_us = counting()
    print(printed, flush=True)
    path = os.pathsep.join(filter(None, (str(CLOCK), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = scratch / "clock"
        folder.mkdir()
        engine = synthetic_engine(scratch / "engine", tokens_per_s=a.rate, slots=max(levels))
        env = {"PYTHONPATH": path, "GEMMA4_BENCH_CLOCK": str(folder)}
        server = Served(engine, scratch / "run", env=env)
        try:
            a.message_us = burst_us(folder)
            print(f"Triton's part of a message: {a.message_us:.1f} us")
            print("ms of CPU for 1,000 tokens")
            print("streams       total  publishing      Triton    counting    share", flush=True)
            for streams in levels:
                print(measure(server, folder, streams, a), flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
