"""The overlay's ``ensemble`` against ``gemma4``: one server, one run, alternating.

N streams on gRPC ask one after another for ``--tokens`` tokens each, for ``--seconds``, of the
synthetic engine. Both sides read ``text_output`` and look for the final flag. Prints, as medians
over the rounds: tokens/s, the time to the first token, tokens in a response, the CPU seconds of the
server for 1,000 tokens, and the ratios of the two sides.
"""

from __future__ import annotations

import argparse
import queue
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import tritonclient.grpc as triton
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.served import Served

from clients import tensors

SIDES = ("gemma4", "ensemble")
FIGURES = ("tokens/s", "TTFT ms", "tokens/response", "server CPU s/1,000 tokens")


@dataclass
class Run:
    tokens: int = 0
    responses: int = 0
    firsts: list[float] = field(default_factory=list)


def stream(url: str, model: str, tokens: int, end: float, run: Run) -> None:
    """Ask until ``end``; count into ``run``, which no other thread has."""
    with triton.InferenceServerClient(url) as client:
        replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client.start_stream(lambda result, error: replies.put(error or result))
        inputs, wanted = tensors(tokens), [triton.InferRequestedOutput("text_output")]
        while time.monotonic() < end:
            begun, first = time.monotonic(), 0.0
            client.async_stream_infer(
                model, inputs, outputs=wanted, enable_empty_final_response=True
            )
            final = False
            while not final:
                reply = replies.get()
                if isinstance(reply, Exception):
                    raise reply
                first = first or time.monotonic() - begun
                run.responses += reply.as_numpy("text_output") is not None
                final = reply.get_response().parameters["triton_final_response"].bool_param
            run.firsts.append(first)
            run.tokens += tokens


def cpu_of(pid: int) -> float:
    server = psutil.Process(pid)
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def measure(served: Served, model: str, streams: int, tokens: int, seconds: float) -> list[float]:
    runs = [Run() for _ in range(streams)]
    cpu, begun = cpu_of(served.process.pid), time.monotonic()
    threads = [
        Thread(
            target=stream, args=(f"127.0.0.1:{served.grpc}", model, tokens, begun + seconds, run)
        )
        for run in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.monotonic() - begun, cpu_of(served.process.pid) - cpu
    total = sum(run.tokens for run in runs)
    first = statistics.median(first for run in runs for first in run.firsts)
    responses = sum(run.responses for run in runs)
    return [total / wall, first * 1000, total / responses, cpu / total * 1000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,8,32")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=100.0, help="tokens/s of one stream")
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        engine = synthetic_engine(
            Path(folder) / "engine", tokens_per_s=a.rate, slots=max(levels),
            prefill_tokens_per_s=20_000,
        )  # fmt: skip
        served = Served(engine, Path(folder) / "run", "--nvidia-ensemble")
        for streams in levels:
            found: dict[str, list[list[float]]] = {side: [] for side in SIDES}
            for side in SIDES:
                measure(served, side, streams, a.tokens, 0.5)  # warm up
            for turn in range(a.rounds):
                for side in SIDES if turn % 2 == 0 else SIDES[::-1]:
                    found[side].append(measure(served, side, streams, a.tokens, a.seconds))
            ours, theirs = (
                [statistics.median(values) for values in zip(*found[side], strict=True)]
                for side in SIDES
            )
            for name, one, other in zip(FIGURES, ours, theirs, strict=True):
                print(
                    f"{streams:4} streams  {name:26} gemma4 {one:10.3f}  ensemble {other:10.3f}  "
                    f"ratio {other / one:.3f}",
                    flush=True,
                )
        served.stop()


if __name__ == "__main__":
    main()
