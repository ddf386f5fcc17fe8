"""Raw llama.cpp against the same engine through Triton, in one run: ``make bench``.

Closed loop: each of N streams asks ``--requests`` times, one after another, for about ``--tokens``
tokens each. A round measures both sides, one after the other, in alternating order. Both consumers
only count: the raw one finds a mark in each event, Triton's one reads the shape of ``output_ids``. Prints
tokens/s, median TTFT, the ratio of the medians over the rounds, and, for Triton's side, CPU
seconds per 1,000 tokens outside the engine's process (Triton, postprocessing, this client).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import orjson
import psutil
from gemma4_client.wire import build_request
from gemma4_runtime.engine_folder import read_manifest
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp import load_server
from gemma4_runtime.engines.llama_payload import payload
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.server.board import Field
from tritonclient.grpc import service_pb2_grpc

ROOT = Path(__file__).parents[1]
Result = tuple[int, float]
"""Tokens and TTFT (seconds) of one stream."""


def prompt(index: int, length: int, first: int = 600, span: int = 900) -> list[int]:
    """Token ids without a shared prefix, so that no prompt cache helps either side."""
    return [2] + [first + (index * 131 + i * 17) % span for i in range(length)]


def measure(
    ask: Callable[[int], Result], streams: int, requests: int, base: int
) -> tuple[float, float]:
    """tokens/s of ``streams`` that ask ``requests`` times each, and the median TTFT."""

    def loop(stream: int) -> list[Result]:
        return [ask(base + stream * requests + turn) for turn in range(requests)]

    with ThreadPoolExecutor(streams) as pool:
        started = time.monotonic()
        results = [result for part in pool.map(loop, range(streams)) for result in part]
        spent = time.monotonic() - started
    return sum(tokens for tokens, _ in results) / spent, statistics.median(t for _, t in results)


def budget(index: int, tokens: int) -> int:
    """Tokens of request ``index``, from half to one and a half of ``tokens``: equal answers would
    keep the streams of one side in step for ever, with all prompts in one batch."""
    return tokens // 2 + index * 37 % tokens


def raw_worker(engine: Path, slots: int, threads: int, tokens: int, length: int) -> None:
    """A process that holds llama.cpp alone and measures on request (lines on stdin)."""
    manifest = read_manifest(engine)
    assert manifest.llama_cpp is not None
    info = EngineInfo(
        "llama_cpp", "", manifest.precision, slots, 0, manifest.limits.max_total_tokens, 0
    )
    server = load_server(engine / "model.gguf", info, manifest.llama_cpp, threads)

    def ask(index: int) -> Result:
        count_wanted = budget(index, tokens)
        sampling = SamplingParams(max_tokens=count_wanted, temperature=0.0)
        ids = prompt(index, length)
        body = payload(
            GenerationRequest(key="", input_ids=ids, sampling=sampling),
            prompt=ids, max_tokens=count_wanted, banned=(1, 50, 106), byte_ids=frozenset(), window=64,
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
        print(json.dumps(measure(ask, streams, requests, base)), flush=True)


def through_triton(
    port: int, tokens: int, length: int, table: list[str]
) -> Callable[[int], Result]:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    def ask(index: int) -> Result:
        text = "".join(table[i] for i in prompt(index, length)[1:])
        wanted = budget(index, tokens)
        request = build_request(
            {"text_input": text, "max_tokens": wanted, "min_tokens": wanted, "temperature": 0.0}
        )
        started, first, count = time.monotonic(), 0.0, 0
        for message in stub.ModelStreamInfer(iter([request])):
            assert not message.error_message, message.error_message
            for output in message.infer_response.outputs:
                if output.name == "output_ids" and output.shape[1]:
                    first = first or time.monotonic() - started
                    count += output.shape[1]
        return count, first

    return ask


def cpu_seconds(served: Any) -> float:
    """User and system time of this process, Triton and its model processes, less the engine's."""
    engine = served.board()[Field.ENGINE_PID]
    others = psutil.Process(served.process.pid).children(recursive=True)
    times = [p.cpu_times() for p in [psutil.Process(), *others] if p.pid != engine]
    return sum(t.user + t.system for t in times)


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
    if a.raw_worker:
        raw_worker(a.engine, slots, a.threads or len(os.sched_getaffinity(0)), a.tokens, a.prompt)
        return
    sys.path.insert(0, str(ROOT / "tests"))
    from e2e.served import Served
    from gemma4_runtime.output.vocab import load_token_table

    table = [
        p.decode(errors="replace") for p in load_token_table(a.engine / "tokenizer.json").pieces
    ]
    worker = subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--raw-worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert worker.stdin is not None and worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    with tempfile.TemporaryDirectory() as run_dir:
        served = Served(
            a.engine,
            Path(run_dir),
            "--slots",
            str(slots),
            *(["--threads", str(a.threads)] if a.threads else []),
        )
        ask = through_triton(served.grpc, a.tokens, a.prompt, table)
        base = 0
        print(f"{a.engine}, {a.prompt} prompt tokens, {a.tokens} answered")
        print(
            f"{'streams':>7} {'raw tok/s':>10} {'Triton tok/s':>13} {'ratio':>6} {'raw TTFT ms':>12} {'Triton TTFT ms':>15} {'stack CPU s/1k':>15}"
        )
        for streams in levels:
            raw, ours, cpu = [], [], []
            for turn in range(a.rounds):
                base += 1000
                for side in ("raw", "ours") if turn % 2 == 0 else ("ours", "raw"):
                    if side == "raw":
                        worker.stdin.write(json.dumps([streams, a.requests, base]) + "\n")
                        worker.stdin.flush()
                        raw.append(json.loads(worker.stdout.readline()))
                    else:
                        before = cpu_seconds(served)
                        ours.append(measure(ask, streams, a.requests, base))
                        spent = cpu_seconds(served) - before
                        asked = range(base, base + streams * a.requests)
                        cpu.append(spent / sum(budget(i, a.tokens) for i in asked) * 1000)
            rate, other = (statistics.median(r for r, _ in x) for x in (raw, ours))
            first, second = (statistics.median(t for _, t in x) * 1000 for x in (raw, ours))
            print(
                f"{streams:7} {rate:10.1f} {other:13.1f} {other / rate:6.1%} {first:12.1f} {second:15.1f} {statistics.median(cpu):15.3f}",
                flush=True,
            )
        worker.stdin.close()
        worker.wait()
        served.stop()


if __name__ == "__main__":
    main()
