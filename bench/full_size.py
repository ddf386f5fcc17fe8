"""The 26B's full shapes on this machine's CPU, in one table: ``make bench-26b``.

Makes an engine folder of random int4 weights (14.6 GB on disk, 200 MB of memory, no checkpoint),
then measures, one process with the model at a time:

* the bandwidth of the memory, and the roofline that follows: bandwidth / bytes of weights a token;
* llama.cpp alone: seconds to load, resident memory as a ratio of the file, prompt tokens/s in
  batches of 8, 64 and 512, what a cancel during a prompt waits for, tokens/s of 1 and 4 streams;
* the same through Triton, by ``engine`` and by the ensemble ``gemma4``.

``--parts make,raw,triton`` does some of it, so that each command is short; ``--preset 4gb --layers
8`` takes a model of 0.9 GB of the same architecture.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from full_size_model import active_bytes, make_engine
from gemma4_build.progress import ConsoleReporter
from gemma4_client import Client
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp.loading import load_server
from gemma4_runtime.manifest import read_manifest
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.process_tree import tree
from gemma4_testing.servers.served import Served, generate
from rich.console import Console

BATCHES = (8, 64, 512)
STREAMS = (1, 4)
_FIRST, _SPAN = 600, 900
"""Token ids of the prompts."""


def prompt(index: int, length: int) -> list[int]:
    """Ids that no other prompt begins with."""
    return [2, *(_FIRST + (index * 131 + i * 17) % _SPAN for i in range(length - 1))]


def bandwidth(threads: int) -> float:
    """Return the bytes/s that ``threads`` threads read together, the best of three."""
    parts = [np.ones(32 << 20, dtype=np.float32) for _ in range(threads)]
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(3):
            started = time.monotonic()
            list(pool.map(lambda part: float(part.max()), parts))
            best = max(best, sum(part.nbytes for part in parts) / (time.monotonic() - started))
    return best


def resident(pid: int) -> dict[str, int]:
    """Return RssAnon, RssFile and the peak of both in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssFile", "VmHWM")}


class Raw:
    """llama.cpp in this process, as the engine loads it, with a batch of ``batch``."""

    def __init__(self, engine: Path, batch: int, threads: int) -> None:
        manifest = read_manifest(engine)
        assert manifest.llama_cpp is not None
        options = manifest.llama_cpp.model_copy(update={"micro_batch": batch, "measured": False})
        limits = manifest.limits
        info = EngineInfo(
            "llama_cpp", "", manifest.precision, max(STREAMS), 0, limits.max_total_tokens,
            manifest.model.vocab_size,
        )  # fmt: skip
        started = time.monotonic()
        self.server = load_server(engine / "model.gguf", info, options, threads)
        self.load_s = time.monotonic() - started

    def ask(
        self, index: int, length: int, answer: int, cancel_after: float | None = None
    ) -> tuple[float, float, float]:
        """Return seconds to the first token, tokens/s after it, and, for a request that is
        cancelled after that many seconds, how long it went on."""
        started, first, count = time.monotonic(), 0.0, 0

        def on_event(data: bytes) -> bool:
            nonlocal first, count
            if b"prompt_progress" not in data and b'"finish_reason":null' in data:
                first = first or time.monotonic()
                count += 1
            return cancel_after is not None and time.monotonic() - started > cancel_after

        body = {
            "prompt": prompt(index, length), "stream": True, "return_progress": True,
            "n_predict": answer, "temperature": 0.0, "cache_prompt": False,
            "logit_bias": [[1, False], [50, False], [106, False]],
        }  # fmt: skip
        self.server.handle_completions(orjson.dumps(body), on_event)
        ended = time.monotonic()
        rate = (count - 1) / (ended - first) if count > 1 else 0.0
        return first - started, rate, ended - started - (cancel_after or 0.0)


def raw_child(engine: Path, batch: int, threads: int, length: int, answer: int) -> dict[str, Any]:
    """Measure llama.cpp with one batch, in this process."""
    before = resident(os.getpid())
    raw = Raw(engine, batch, threads)
    after = resident(os.getpid())
    raw.ask(0, 16, 2)
    first, rate, _ = raw.ask(1, length, answer)
    waits = [raw.ask(10 + i, length, 1, 0.3 + 0.37 * i)[2] for i in range(3)]
    found: dict[str, Any] = {
        "batch": batch, "load_s": raw.load_s, "prefill": length / first, "decode": {1: rate},
        "cancel_s": max(waits), "prompt": length,
        "resident": {k: after[k] - (0 if k == "VmHWM" else before[k]) for k in after},
    }  # fmt: skip
    if batch == min(BATCHES):
        streams = max(STREAMS)
        with ThreadPoolExecutor(streams) as pool:
            rates = list(pool.map(lambda i: raw.ask(100 + i, 16, answer)[1], range(streams)))
        found["decode"][streams] = sum(rates)
    return found


def through_triton(
    engine: Path, threads: int, length: int, answer: int, scratch: Path
) -> dict[str, Any]:
    """Measure the same under ``gemma4 serve``, by both ways in."""
    started = time.monotonic()
    slots = ["--slots", str(max(STREAMS)), "--quality-gate", "off", "--threads", str(threads)]
    served = Served(engine, scratch / "run", *slots)
    try:
        found: dict[str, Any] = {"ready_s": time.monotonic() - started}
        pid = served.board()[Field.ENGINE_PID]
        found["resident"] = resident(pid)
        found["stack_rss"] = sum(
            process.memory_info().rss
            for process in tree(served.process.pid)[1:]
            if process.pid != pid
        )
        for way in ("engine", "gemma4"):
            ask = by_client if way == "engine" else by_ensemble
            for streams in STREAMS:
                with ThreadPoolExecutor(streams) as pool:
                    seeds = range(streams * 10, streams * 11)
                    begun = time.monotonic()
                    counts = list(pool.map(lambda i, ask=ask: ask(served, i, answer), seeds))
                    found[f"{way} {streams}"] = sum(counts) / (time.monotonic() - begun)
        found["cancel_s"] = max(cancelled(served, i, length) for i in range(3))
        return found
    finally:
        served.stop()


def text(index: int, words: int = 8) -> str:
    return " ".join(str((index * 131 + i * 17) % 1000) for i in range(words))


def by_client(served: Served, index: int, answer: int) -> int:
    with served.client() as client:
        options: dict[str, Any] = {"max_tokens": answer, "min_tokens": answer, "temperature": 0.0}
        return sum(len(delta.ids) for delta in client.generate(text(index), **options))


def by_ensemble(served: Served, index: int, answer: int) -> int:
    body = {
        "text_input": text(index + 500), "max_tokens": answer, "min_tokens": answer,
        "temperature": 0.0, "stream": True,
    }  # fmt: skip
    return int(generate(served, body, stream=True)[-1]["completion_tokens"])


def cancelled(served: Served, index: int, length: int) -> float:
    """Return the seconds from a client's leaving, in the middle of its prompt, to a free slot."""
    client: Client = served.client()
    stream = iter(client.generate(prompt_token_ids=prompt(9000 + index, length), max_tokens=4))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, stream, None)
        while served.board()[Field.ACTIVE] == 0 and not waiting.done():
            time.sleep(0.002)
        time.sleep(0.3 + 0.17 * index)
        left = time.monotonic()
        client.close()
        while not served.idle() and time.monotonic() - left < 60:
            time.sleep(0.002)
        return time.monotonic() - left


def show(options: argparse.Namespace, size: int, rows: list[dict[str, Any]], ours: Any) -> None:
    """Print one table of what was measured."""
    active = active_bytes(
        options.preset, options.layers, read_manifest(options.engine).model.vocab_size
    )
    read = bandwidth(options.threads)
    roof = read / active
    print(f"file {size / 1e9:.2f} GB, {active / 1e9:.2f} GB of weights a token")
    print(
        f"{options.threads} threads read {read / 1e9:.1f} GB/s: roofline {roof:.1f} tokens/s "
        "of one stream"
    )
    for row in rows:
        rss = row["resident"]
        total = rss["RssAnon"] + rss["RssFile"]
        decode = ", ".join(
            f"{rate:.2f} tok/s of {n} ({rate / roof:.0%} of the roofline)" if int(n) == 1
            else f"{rate:.2f} of {n}"
            for n, rate in row["decode"].items()
        )  # fmt: skip
        print(
            f"raw, batch {row['batch']:3}: load {row['load_s']:.1f} s, resident "
            f"{total / 1e9:.2f} GB = {total / size:.2f} x file (anonymous "
            f"{rss['RssAnon'] / 1e9:.2f}, mapped {rss['RssFile'] / 1e9:.2f}; peak "
            f"{rss['VmHWM'] / 1e9:.2f}), prefill {row['prefill']:.1f} tok/s, cancel within "
            f"{row['cancel_s']:.2f} s, decode {decode}"
        )
    if ours is not None:
        rss = ours["resident"]
        total = rss["RssAnon"] + rss["RssFile"]
        ways = ", ".join(f"{key} {ours[key]:.2f} tok/s" for key in ours if key[-1].isdigit())
        print(
            f"Triton: ready after {ours['ready_s']:.1f} s, engine resident {total / 1e9:.2f} GB = "
            f"{total / size:.2f} x file, everything else {ours['stack_rss'] / 1e9:.2f} GB, "
            f"cancel during a prompt {ours['cancel_s']:.2f} s, {ways}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", type=Path, default=Path("engines/bench-26b"))
    parser.add_argument("--preset", default="26b")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--tokenizer", type=Path, default=Path("demo/checkpoint"))
    parser.add_argument("--prompt", type=int, default=256, help="tokens of a prompt")
    parser.add_argument("--tokens", type=int, default=24, help="answered")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)))
    parser.add_argument("--rounds", type=int, default=1, help="of every batch, in turn")
    parser.add_argument("--parts", default="make,raw,triton")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        found = raw_child(a.engine, a.child, a.threads, a.prompt, a.tokens)
        print(json.dumps(found), flush=True)
        os._exit(0)
    parts = a.parts.split(",")
    if "make" in parts:
        make_engine(
            a.engine, preset=a.preset, layers=a.layers, tokenizer=a.tokenizer,
            slots=max(STREAMS), tokens=2048, prefill_batch=None,
            reporter=ConsoleReporter(Console(stderr=True)),
        )  # fmt: skip
    size = (a.engine / "model.gguf").stat().st_size
    rounds: dict[int, list[dict[str, Any]]] = {}
    if "raw" in parts:
        for _ in range(a.rounds):
            for batch in map(int, a.batches.split(",")):
                words = [sys.executable, __file__, *sys.argv[1:], "--child", str(batch)]
                done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
                rounds.setdefault(batch, []).append(json.loads(done.stdout.splitlines()[-1]))
    ours = None
    if "triton" in parts:
        with tempfile.TemporaryDirectory() as folder:
            ours = through_triton(a.engine, a.threads, a.prompt, a.tokens, Path(folder))
    rows = [
        found[0] | {"prefill": statistics.median(row["prefill"] for row in found)}
        for found in rounds.values()
    ]
    show(a, size, rows, ours)


if __name__ == "__main__":
    main()
