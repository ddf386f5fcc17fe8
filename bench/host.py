"""Everything around the engine, without a model: ``make bench-host``.

Six topologies in one run, one after another in every round: ``null`` (a null engine that is called
directly, one response per token: what Triton's Python backend can carry), the reference ensemble in
bench/reference (the usual kind: one Python step per token, transformers' tokenizer, no coalescing),
our ensemble ``gemma4``, our ``engine`` called directly, a stream for each request, our ``client``
(asyncio, whose streams share a feed), and the ``gateway``, which uses it, read as server-sent
events. ``--topologies client,gateway,dynamo`` has NVIDIA Dynamo's frontend over our worker as well.
With ``--per-step 4`` our engine gives 4 tokens at once, as one with speculative decoding
does; faster ones (``--rate``) come together in a chunk anyway. The null engines keep to the same
schedule, a token at a time. The load generator runs on the same cores; it checks order and
completeness of every stream.

Prints, per topology and number of streams, medians over the rounds: tokens/s; responses/s; median
TTFT; p50 and p99 of the gaps between chunks; p99 of the lag behind the engine's schedule, for the
first and second half of the streams (a lag that grows shows there); the slowest stream's tokens
as a share of the fastest's when the first one ends; CPU milliseconds per 1,000 tokens, of the
servers (below by process) and of the load generator; resident memory per stream.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from gemma4_runtime.output.vocab import load_token_table
from gemma4_serve.install import find_triton
from gemma4_serve.ports import Ports, claim_ports
from gemma4_testing.engine_folders.synthetic_engine import UNPACED, synthetic_engine
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from host_dynamo import RunningDynamo
from host_load import Job, Result

ROOT = Path(__file__).parents[1]

TOPOLOGIES = ("null", "reference", "gemma4", "engine", "client", "gateway")
DYNAMO = "dynamo"
"""Only when it is named: it needs an environment of its own."""
OVER_HTTP = ("gateway", DYNAMO)
PROMPT = "Hello world this is"
HEAD = (
    f"{'topology':14} {'streams':>7} {'tokens/s':>9} {'resp/s':>7} {'TTFT ms':>8} {'gap p50':>8} "
    f"{'p99 ms':>8} {'lag p99 ms, halves':>19} {'slowest':>8} {'server ms/1k':>13} {'load':>6} "
    f"{'KB/stream':>10}"
)


class Reference(Command):
    """bench/reference on a Triton server; its null engine keeps to ``interval`` seconds a token."""

    def __init__(self, interval: float, scratch: Path) -> None:
        install = find_triton(scratch)
        ports = claim_ports("127.0.0.1", Ports(0, 0, 0))
        self.grpc = ports.grpc
        env = {
            "BENCH_INTERVAL_S": str(interval),
            "BENCH_TOKENIZER": str(ROOT / "demo" / "checkpoint"),
            "HF_HUB_OFFLINE": "1",
        }
        super().__init__(
            f"--model-repository={ROOT / 'bench' / 'reference'}",
            f"--backend-directory={install.backends}", "--disable-auto-complete-config",
            f"--backend-config=python,shm-region-prefix-name=bench_{os.getpid()}_",
            "--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--metrics-address=127.0.0.1",
            f"--http-port={ports.http}", f"--grpc-port={ports.grpc}",
            f"--metrics-port={ports.metrics}",
            env=install.env | env, program=install.binary, until="Started Metrics Service",
        )  # fmt: skip


class Measured:
    """One run of the load against ``servers``: one, or Triton and the gateway before it."""

    def __init__(self, servers: Sequence[Command], job: Job) -> None:
        def memory() -> int:
            return sum(server.memory() for server in servers)

        idle, cpu = memory(), cpu_by_process(servers)
        peak = [idle]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                peak.append(memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        ran = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("host_load.py")), json.dumps(asdict(job))],
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        over.set()
        watcher.join()
        if ran.returncode:
            raise RuntimeError(f"{job.topology}, {job.streams} streams: {ran.stderr[-1500:]}")
        self.load = Result(**json.loads(ran.stdout))
        after = cpu_by_process(servers)
        self.cpu = {name: spent - cpu.get(name, 0.0) for name, spent in after.items()}
        self.bytes_per_stream = (max(peak) - idle) / job.streams


def cpu_by_process(servers: Sequence[Command]) -> dict[str, float]:
    """Return the seconds so far, of children that have ended too. A process is named by what it
    runs; a Python model by its name."""
    found: dict[str, float] = {}
    for server in servers:
        for process in lasting(server.process.pid):
            model = re.search(r"/(\w+)/1/model\.py", " ".join(process.cmdline()))
            name = model[1] if model else process.name()
            found[name] = found.get(name, 0.0) + sum(process.cpu_times()[:4])
    return found


def line(topology: str, streams: int, runs: list[Measured]) -> str:
    def middle(values: list[float]) -> float:
        return statistics.median(values)

    loads = [run.load for run in runs]
    per_1k = 1e6 / loads[0].tokens
    low, high = (middle([load.progress[i] for load in loads]) for i in (0, 1))
    halves = [
        middle([getattr(load, f"lag_{half}_half_p99") * 1000 for load in loads])
        for half in ("first", "second")
    ]
    return (
        f"{topology:14} {streams:7} {middle([x.tokens / x.seconds for x in loads]):9.0f} "
        f"{middle([x.responses / x.seconds for x in loads]):7.0f} "
        f"{middle([statistics.median(x.ttft) * 1000 for x in loads]):8.1f} "
        f"{middle([x.gap_p50 * 1000 for x in loads]):8.1f} "
        f"{middle([x.gap_p99 * 1000 for x in loads]):8.1f} "
        f"{halves[0]:9.0f} {halves[1]:9.0f} {low / high:8.0%} "
        f"{middle([sum(run.cpu.values()) * per_1k for run in runs]):13.1f} "
        f"{middle([x.client_cpu * per_1k for x in loads]):6.1f} "
        f"{middle([run.bytes_per_stream / 1000 for run in runs]):10.0f}"
    )


def processes(runs: list[Measured]) -> str:
    """Return where the server's CPU time went: milliseconds for 1,000 tokens, from 1 % on."""
    per_1k = 1e6 / runs[0].load.tokens
    names = {name for run in runs for name in run.cpu}
    spent = {n: statistics.median(run.cpu.get(n, 0.0) for run in runs) * per_1k for n in names}
    shown = sorted(
        (n for n in names if spent[n] >= sum(spent.values()) / 100), key=spent.__getitem__
    )
    return "               " + ", ".join(f"{name} {spent[name]:.1f}" for name in reversed(shown))


class Ours:
    """Our server, with the gateway before it if ``gateway``, and Dynamo's frontend and worker if
    there is a ``dynamo``: the Python of their environment."""

    def __init__(self, engine: Path, scratch: Path, *, gateway: bool, dynamo: Path | None) -> None:
        self._served = Served(engine, scratch / "run")
        self.gateway = RunningGateway(self._served.grpc) if gateway else None
        self.dynamo = None
        if dynamo is not None:
            self.dynamo = RunningDynamo(dynamo, self._served.grpc, engine, scratch)
        with self._served.client() as client:
            tokens = client.tokenize([{"role": "user", "content": PROMPT}], chat=True)
        table = load_token_table(engine / "tokenizer.json")
        pairs = zip(tokens.ids, tokens.token_bytes, strict=True)
        self._token_bytes = tuple(len(data) for i, data in pairs if i not in table.special)

    def measure(self, topology: str, streams: int, tokens: int, interval: float) -> Measured:
        job = Job(topology, f"127.0.0.1:{self._served.grpc}", streams, tokens, PROMPT, interval)
        if topology not in OVER_HTTP:
            return Measured([self._served], job)
        port, before = self._before(topology)
        job = replace(job, url=f"127.0.0.1:{port}", model=MODEL, token_bytes=self._token_bytes)
        return Measured([self._served, *before], job)

    def _before(self, topology: str) -> tuple[int, Sequence[Command]]:
        """Return the port that takes requests, and what runs before the server."""
        if topology == DYNAMO:
            assert self.dynamo is not None
            return self.dynamo.port, self.dynamo.commands
        assert self.gateway is not None
        return self.gateway.port, [self.gateway]

    def stop(self) -> None:
        for before in (self.dynamo, self.gateway):
            if before is not None:
                before.stop()
        self._served.stop()


class Theirs:
    """The null engine and the reference ensemble."""

    def __init__(self, interval: float, scratch: Path) -> None:
        self._server = Reference(interval, scratch)

    def measure(self, topology: str, streams: int, tokens: int, interval: float) -> Measured:
        url = f"127.0.0.1:{self._server.grpc}"
        return Measured([self._server], Job(topology, url, streams, tokens, PROMPT, interval))

    def stop(self) -> None:
        self._server.stop()


def measure(
    topologies: Sequence[str],
    streams: int,
    tokens: int,
    interval: float,
    engine: Path,
    scratch: Path,
    dynamo: Path,
) -> dict[str, Measured]:
    """Measure one round: each topology once."""
    found = {}
    for names in (("null", "reference"), ("gemma4", "engine", "client", *OVER_HTTP)):
        wanted = [name for name in names if name in topologies]
        if not wanted:
            continue
        server = (
            Theirs(interval, scratch)
            if "null" in names
            else Ours(
                engine,
                scratch,
                gateway="gateway" in wanted,
                dynamo=dynamo if DYNAMO in wanted else None,
            )
        )
        try:
            for name in wanted:
                found[name] = server.measure(name, streams, tokens, interval)
        finally:
            server.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="1,16,64,256,512")
    parser.add_argument("--tokens", type=int, default=200, help="of each stream")
    parser.add_argument("--rate", type=float, default=50, help="tokens/s of a stream; 0: unpaced")
    parser.add_argument(
        "--per-step", type=int, default=1, help="tokens that our engine gives at once"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--topologies", default=",".join(TOPOLOGIES))
    parser.add_argument(
        "--dynamo", type=Path, default=ROOT / ".venv-dynamo" / "bin" / "python",
        help="Python of an environment with NVIDIA Dynamo, for the topology of that name",
    )  # fmt: skip
    a = parser.parse_args()
    levels = [int(n) for n in a.streams.split(",")]
    topologies = a.topologies.split(",")
    known = (*TOPOLOGIES, DYNAMO)
    if unknown := set(topologies) - set(known):
        parser.error(f"--topologies: {', '.join(unknown)}; there are {', '.join(known)}")
    if DYNAMO in topologies and not a.dynamo.exists():
        parser.error(f"--dynamo {a.dynamo}: not there; `make test-dynamo` makes it")
    if a.per_step < 1:
        parser.error(f"--per-step {a.per_step}: must be at least 1")
    interval = 1 / a.rate if a.rate else 0.0
    pace = f"{a.rate:g} tokens/s each" if a.rate else "unpaced"
    print(f"{a.tokens} tokens a stream, {pace}, {a.per_step} at once")
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(
            scratch / "engine",
            tokens_per_s=a.rate or UNPACED,
            tokens_per_step=a.per_step,
            slots=max(levels),
        )
        for streams in levels:
            rounds = [
                measure(topologies, streams, a.tokens, interval, engine, scratch, a.dynamo)
                for _ in range(a.rounds)
            ]
            for name in topologies:
                print(line(name, streams, [found[name] for found in rounds]))
                print(processes([found[name] for found in rounds]), flush=True)


if __name__ == "__main__":
    main()
