"""Raw llama.cpp against the same engine through Triton, in one run: ``make bench``.

Closed loop: each of N streams asks ``--requests`` times, one after another, for about ``--tokens``
tokens each. A round starts one side, measures it at every number of streams, ends it, and does the
same with the other, in alternating order, after a request that does not count; never both at once,
so the model needs to fit the memory only once. Both consumers only count: the raw one finds a mark in each event, Triton's one counts
``output_ids``. Prints tokens/s, median TTFT, the ratio of the medians over the rounds, and,
for Triton's side, CPU seconds per 1,000 tokens outside the engine's process (Triton,
postprocessing, this client).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import orjson
import psutil
import tokenizers
from gemma4_client.wire import build_request
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp.loading import load_measured
from gemma4_runtime.engines.llama_cpp.payload import payload
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.served import Served
from tritonclient.grpc import service_pb2, service_pb2_grpc

Result = tuple[int, float]
"""Tokens and TTFT (seconds) of one stream."""


class Prompts:
    """Texts without a shared prefix, so that no prompt cache helps either side. Both sides get the
    same tokens: Triton's the text, raw llama.cpp what the text is encoded to (joined pieces are
    not encoded to the same pieces again, and a tenth more tokens would count as Triton's loss)."""

    _FIRST, _SPAN = 600, 900

    def __init__(self, engine: Path, length: int) -> None:
        path = engine / "tokenizer.json"
        self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        self._length = length

    def text(self, index: int) -> str:
        ids = ((index * 131 + i * 17) % self._SPAN for i in range(self._length))
        return "".join(self._pieces[self._FIRST + i] for i in ids)  # type: ignore[attr-defined]

    def ids(self, index: int) -> list[int]:
        return [2, *self._tokenizer.encode(self.text(index), add_special_tokens=False).ids]


def measure_raw(
    ask: Callable[[int], Result], streams: int, requests: int, base: int
) -> tuple[float, float]:
    """Return tokens/s of ``streams`` that ask ``requests`` times each, and the median TTFT."""

    def loop(stream: int) -> list[Result]:
        return [ask(base + stream * requests + turn) for turn in range(requests)]

    with ThreadPoolExecutor(streams) as pool:
        started = time.monotonic()
        results = [result for part in pool.map(loop, range(streams)) for result in part]
        return figures(results, time.monotonic() - started)


def figures(results: list[Result], spent: float) -> tuple[float, float]:
    """Return tokens/s and the median TTFT."""
    return sum(tokens for tokens, _ in results) / spent, statistics.median(t for _, t in results)


def budget(index: int, tokens: int) -> int:
    """Return the tokens of request ``index``, from half to one and a half of ``tokens``: equal
    answers would keep the streams of one side in step forever, with all prompts in one batch."""
    return tokens // 2 + index * 37 % tokens


def raw_worker(engine: Path, slots: int, threads: int, tokens: int, prompts: Prompts) -> None:
    """Hold llama.cpp alone in this process, and measure on request (lines on stdin)."""
    manifest = read_manifest(engine)
    assert manifest.llama_cpp is not None
    info = EngineInfo(
        "llama_cpp", manifest.runtime_version, manifest.precision, slots, 0,
        manifest.limits.max_total_tokens, manifest.model.vocab_size,
    )  # fmt: skip
    server = load_measured(engine / "model.gguf", info, manifest.llama_cpp, threads)

    def ask(index: int) -> Result:
        count_wanted = budget(index, tokens)
        sampling = SamplingParams(max_tokens=count_wanted, temperature=0.0)
        ids = prompts.ids(index)
        body = payload(
            GenerationRequest(key="", input_ids=ids, sampling=sampling),
            answer=[], max_tokens=count_wanted, banned=(1, 50, 106), bias={}, grammar=None, window=64,
        )  # fmt: skip
        del body["verbose"], body["return_progress"]
        started, first, count = time.monotonic(), 0.0, 0

        def on_event(data: bytes) -> bool:
            nonlocal first, count
            if b'"finish_reason":null' in data:
                first = first or time.monotonic() - started
                count += 1
            return False

        server.handle_completions(orjson.dumps(body), on_event)
        return count, first

    print("ready", flush=True)
    for line in sys.stdin:
        streams, requests, base = json.loads(line)
        print(json.dumps(measure_raw(ask, streams, requests, base)), flush=True)


async def ask_triton(call: Any, index: int, tokens: int, prompts: Prompts) -> Result:
    wanted = budget(index, tokens)
    request = build_request(
        {
            "text_input": prompts.text(index),
            "max_tokens": wanted,
            "min_tokens": wanted,
            "temperature": 0.0,
            "stream": True,
        }
    )

    async def one() -> AsyncIterator[service_pb2.ModelInferRequest]:
        yield request

    started, first, count = time.monotonic(), 0.0, 0
    async for message in call(one()):
        assert not message.error_message, message.error_message
        if message.infer_response.outputs:
            values = orjson.loads(message.infer_response.raw_output_contents[0])
            first = first or time.monotonic() - started
            count += len(values.get("output_ids", ()))
    return count, first


async def measure_triton(
    port: int, tokens: int, prompts: Prompts, streams: int, requests: int, base: int
) -> tuple[float, float]:
    """Do as :func:`measure_raw`. On asyncio: a blocked thread of gRPC's looks up five times a
    second, which at 32 streams costs a hundredth of a core that the engine would have."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        await asyncio.wait_for(channel.channel_ready(), 10)

        async def loop(stream: int) -> list[Result]:
            indexes = (base + stream * requests + turn for turn in range(requests))
            return [await ask_triton(stub.ModelStreamInfer, i, tokens, prompts) for i in indexes]

        started = time.monotonic()
        parts = await asyncio.gather(*map(loop, range(streams)))
        spent = time.monotonic() - started
    return figures([result for part in parts for result in part], spent)


class Raw:
    """llama.cpp alone, in a process of its own."""

    def __init__(self) -> None:
        self._worker = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--raw-worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._worker.stdout is not None
        assert self._worker.stdout.readline() == "ready\n"

    def measure(self, streams: int, requests: int, base: int) -> tuple[float, float]:
        assert self._worker.stdin is not None and self._worker.stdout is not None
        self._worker.stdin.write(json.dumps([streams, requests, base]) + "\n")
        self._worker.stdin.flush()
        rate, ttft = json.loads(self._worker.stdout.readline())
        return rate, ttft

    def stop(self) -> None:
        assert self._worker.stdin is not None
        self._worker.stdin.close()
        self._worker.wait()


class Triton:
    """The same engine under ``gemma4 serve``."""

    def __init__(self, options: argparse.Namespace, slots: int, prompts: Prompts) -> None:
        self._folder = tempfile.TemporaryDirectory()
        threads = ["--threads", str(options.threads)] if options.threads else []
        self._served = Served(
            options.engine, Path(self._folder.name), "--slots", str(slots), *threads
        )
        self._load = partial(measure_triton, self._served.grpc, options.tokens, prompts)

    def measure(self, streams: int, requests: int, base: int) -> tuple[float, float]:
        return asyncio.run(self._load(streams, requests, base))

    def cpu_seconds(self) -> float:
        """Return the user and system time of this process, Triton and its model processes, less the
        engine's."""
        engine = self._served.board()[Field.ENGINE_PID]
        others = psutil.Process(self._served.process.pid).children(recursive=True)
        times = [p.cpu_times() for p in [psutil.Process(), *others] if p.pid != engine]
        return sum(t.user + t.system for t in times)

    def stop(self) -> None:
        self._served.stop()
        self._folder.cleanup()


@dataclass
class Row:
    """What was measured at one number of streams, an entry a round."""

    raw: list[tuple[float, float]] = field(default_factory=list)
    ours: list[tuple[float, float]] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def show(self, streams: int) -> str:
        rate, other = (statistics.median(r for r, _ in x) for x in (self.raw, self.ours))
        first, second = (statistics.median(t for _, t in x) * 1000 for x in (self.raw, self.ours))
        return (
            f"{streams:7} {rate:10.1f} {other:13.1f} {other / rate:6.1%} {first:12.1f} "
            f"{second:15.1f} {statistics.median(self.cpu):15.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, required=True)
    parser.add_argument("--streams", default="1,4,8,32")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=64, help="prompt tokens")
    parser.add_argument("--requests", type=int, default=2, help="of each stream in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--threads", type=int, default=0, help="0: all cores for raw, the default for ours"
    )
    parser.add_argument("--raw-worker", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    slots = max(levels)
    prompts = Prompts(a.engine, a.prompt)
    if a.raw_worker:
        raw_worker(a.engine, slots, a.threads or len(os.sched_getaffinity(0)), a.tokens, prompts)
        return
    print(f"{a.engine}, {a.prompt} prompt tokens, {a.tokens} answered", flush=True)
    rows = {streams: Row() for streams in levels}
    for turn in range(a.rounds):
        for name in ("raw", "ours") if turn % 2 == 0 else ("ours", "raw"):
            side = Raw() if name == "raw" else Triton(a, slots, prompts)
            side.measure(1, 1, turn + 1)  # the first one reads the model from disk
            for level, streams in enumerate(levels):
                base = (turn * len(levels) + level + 1) * 1000
                if isinstance(side, Raw):
                    rows[streams].raw.append(side.measure(streams, a.requests, base))
                    continue
                before = side.cpu_seconds()
                rows[streams].ours.append(side.measure(streams, a.requests, base))
                spent = side.cpu_seconds() - before
                asked = range(base, base + streams * a.requests)
                rows[streams].cpu.append(spent / sum(budget(i, a.tokens) for i in asked) * 1000)
            side.stop()
    print(
        f"{'streams':>7} {'raw tok/s':>10} {'Triton tok/s':>13} {'ratio':>6} {'raw TTFT ms':>12} "
        f"{'Triton TTFT ms':>15} {'stack CPU s/1k':>15}"
    )
    for streams, row in rows.items():
        print(row.show(streams))


if __name__ == "__main__":
    main()
