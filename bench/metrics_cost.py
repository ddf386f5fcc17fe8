"""What the metrics at Triton's endpoint cost: ``python bench/metrics_cost.py``.

Two servers with the synthetic engine run at once, one with its metrics switched off
(bench/without_metrics, which exists for this comparison only). The same load goes to one and the
other in turns, and the first of a turn changes. Printed is the CPU time of the servers' processes
for 1,000 tokens: the median of each, and the median of the differences of the turns with their
quartiles. Other work on the machine disturbs both; more turns make it smaller.

Before that: what counting takes in this process, by ``time.thread_time``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gemma4_runtime.engines.base import EngineInfo, EngineStats
from gemma4_runtime.metrics.publisher import Publisher
from gemma4_runtime.restarts import read_restarts
from gemma4_runtime.server.engine_metrics import EngineMetrics
from gemma4_runtime.server.streams.record import RequestRecord
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served
from host import PROMPT, Measured
from host_load import Job

OFF = Path(__file__).with_name("without_metrics")
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


def counting() -> str:
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
        publisher.publish(histograms=histograms)
        return Sends.count - before

    lines = [f"counting: {chunk:.2f} us for a chunk, {request:.1f} us for a request"]
    for busy, what in ((False, "tokens came"), (True, "tokens came and requests ended")):
        plain, whole = (sent(busy=busy, histograms=h) for h in (False, True))
        lines.append(f"messages of an update, {what}: {plain}, with histograms {whole}")
    update = each_us(1000, lambda: publisher.publish(histograms=False))
    lines.append(f"an update without its messages: {update:.0f} us")
    publisher.close()
    return "\n".join(lines)


def metrics_of(server: Served) -> bool:
    """Return whether the endpoint has our metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=10) as reply:
        return b"gemma4_slots" in reply.read()


def compare(on: Served, off: Served, streams: int, tokens: int, turns: int, rate: float) -> str:
    spent: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(turns):
        for which in (True, False) if turn % 2 else (False, True):
            server = on if which else off
            url = f"127.0.0.1:{server.grpc}"
            run = Measured([server], Job("client", url, streams, tokens, PROMPT, 1 / rate))
            spent[which].append(sum(run.cpu.values()) * 1e6 / run.load.tokens)
    pairs = zip(spent[True], spent[False], strict=True)
    more = sorted(100 * (with_ / without - 1) for with_, without in pairs)
    low, middle, high = statistics.quantiles(more, n=4)
    return (
        f"{streams:7} {statistics.median(spent[False]):9.2f} {statistics.median(spent[True]):9.2f} "
        f"{middle:+8.1f} {low:+7.1f} {high:+7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,64,256")
    parser.add_argument("--tokens", type=int, default=200, help="of each stream")
    parser.add_argument("--rate", type=float, default=50, help="tokens/s of a stream")
    parser.add_argument("--turns", type=int, default=7, help="at least 2")
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    if a.turns < 2 or a.rate <= 0:
        parser.error("--turns must be at least 2 and --rate more than 0")
    print(counting(), flush=True)
    path = os.pathsep.join(filter(None, (str(OFF), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(scratch / "engine", tokens_per_s=a.rate, slots=max(levels))
        on = Served(engine, scratch / "on")
        off = Served(engine, scratch / "off", env={"PYTHONPATH": path})
        try:
            if not metrics_of(on) or metrics_of(off):
                raise RuntimeError("the metrics are not on in one server and off in the other")
            print("streams    off ms     on ms  more %   quartiles", flush=True)
            for streams in levels:
                print(compare(on, off, streams, a.tokens, a.turns, a.rate), flush=True)
        finally:
            on.stop()
            off.stop()


if __name__ == "__main__":
    main()
