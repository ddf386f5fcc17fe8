"""Whether ``gemma4 plan simulate`` predicts what ``gemma4 load`` measures: ``make bench-plan``.

Two engines: the synthetic one, whose pace is known, and the demo model on the CPU, whose step times
are fitted to what the load test saw of it. Each is asked in a closed loop and in an open one, at
three loads of which the last is near saturation; then all six again, ``--turns`` times, so that what
the machine does meanwhile meets them all. A load is predicted with step times from the runs of the
*other* five: none of its own requests is in them. (In the column "own" it is with those of its own
runs only: what is better there is not the simulation's, but how much the machine changed.) Prints the medians over the turns of throughput,
TTFT and ITL, measured and predicted, and how far the turns lie apart, which no prediction can be
better than. Exit status 1 when a median is beyond its bound (5 % for the known pace; for the fitted
one 10 % of throughput, 20 % of latency), 3 when a run of ``gemma4 load`` was not valid.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_load.report.files import read_report, read_requests
from gemma4_plan.simulate import Replica, StreamPace
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.observed import steps_from
from gemma4_runtime.manifest import read_manifest
from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT, synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served
from plan_proof_figures import (
    BOUNDS,
    Compared,
    Level,
    Rows,
    compare,
    measured,
    predict,
    predicted,
    seen,
)

HOST_S = 0.0042
"""Seconds of a request around the engine, over gRPC: `make bench-meter` measures 3.5 to 5.2 ms."""
PACE_S, PREFILL_S = 1 / 50, 1 / 2000
"""Seconds of a token of the synthetic engine: generated, and of a prompt."""
LOADS = (0.4, 0.7, 0.9)
"""Of the closed loop's throughput at full slots: requests/s of the open loop."""


@dataclass(frozen=True)
class Size:
    """Of a proof: ``slots`` of the engines, seconds of a run and of its warm-up, and how often all
    loads take their turn: ``users`` of the closed loop, and ``LOADS`` of the open one."""

    slots: int
    seconds: float
    warmup: float
    turns: int
    users: tuple[int, ...]


class Runs:
    """Runs of ``gemma4 load`` against one server."""

    def __init__(self, server: Served, folder: Path, max_lag_ms: float) -> None:
        self._url = f"127.0.0.1:{server.grpc}"
        self._folder = folder
        self._lag = max_lag_ms
        self.invalid: list[str] = []
        self._count = 0

    def run(self, *words: str, label: str) -> tuple[Level, Rows]:
        """Return the level of a run, and its requests."""
        self._count += 1
        out = self._folder / f"{self._count:02}"
        ran = subprocess.run(
            [str(GEMMA4), "load", "--url", self._url, "--out", str(out), "--seed", str(self._count),
             "--max-client-lag", f"{self._lag:g}", *words],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if ran.returncode not in (0, 3):
            raise RuntimeError(f"{label}: {ran.stderr[-1500:]}")
        level = read_report(out)["levels"][0]
        if not level["valid"]:
            self.invalid.append(f"{label}: {'; '.join(level['invalid_reasons'])}")
        return level, read_requests(out)


def measure(
    kind: str, runs: Runs, size: Size, lengths: tuple[str, str]
) -> dict[str, list[tuple[Level, Rows]]]:
    """Run every load in every turn; return the runs by load."""
    common = (
        "--prompt-tokens", lengths[0], "--output-tokens", lengths[1],
        "--duration", f"{size.seconds:g}", "--warmup", f"{size.warmup:g}",
    )  # fmt: skip
    found: dict[str, list[tuple[Level, Rows]]] = {}
    most = 0.0
    for turn in range(size.turns):
        for users in size.users:
            label = f"{kind}, {users} users"
            level, rows = runs.run("--concurrency", str(users), *common, label=label)
            found.setdefault(label, []).append((level, rows))
            if not turn:
                most = max(most, level["run"]["request_throughput"])
        for load in LOADS:
            label = f"{kind}, {load:.0%} of {most:.3g}/s"
            words = ("--rate", f"{load * most:.3f}", *common)
            found.setdefault(label, []).append(runs.run(*words, label=label))
    return found


def prove(
    kind: str,
    found: dict[str, list[tuple[Level, Rows]]],
    replica: Callable[[str], Replica],
    own: Callable[[str], Replica] | None = None,
) -> list[Compared]:
    """Predict every load with the ``replica`` that is for it, and with its ``own``."""
    lines = []
    for label, runs in found.items():
        if any(level["requests"]["itl"] is None for level, _ in runs):
            print(f"{label}: a run without a whole answer; raise --seconds")
            continue
        truth = [measured(level) for level, _ in runs]
        both = []
        for made in (replica(label), (own or replica)(label)):
            guesses = [predicted(predict(level, rows, made)) for level, rows in runs]
            both.append(compare(label, truth, guesses, BOUNDS[kind]))
        for line, other in zip(*both, strict=True):
            print(row(line, other), flush=True)
        lines += both[0]
    return lines


def row(line: Compared, own: Compared) -> str:
    """Return a line of the table."""
    unit = 1.0 if line.name == "tokens/s" else 1e3
    return (
        f"{line.run:28} {line.name:9} {line.measured * unit:10.1f} {line.predicted * unit:10.1f} "
        f"{line.error:+8.1%} {own.error:+8.1%} {line.spread:8.1%} "
        f"{'' if line.within else 'beyond ' + format(line.bound, '.0%')}"
    )


def prove_synthetic(size: Size, scratch: Path, lag: float) -> tuple[list[Compared], list[str]]:
    """Prove it with the engine of a known pace."""
    engine = synthetic_engine(
        scratch / "synthetic", tokens_per_s=1 / PACE_S, slots=size.slots,
        prefill_tokens_per_s=1 / PREFILL_S,
    )  # fmt: skip
    replica = Replica(
        pace=StreamPace(interval_s=PACE_S, prefill_s=PREFILL_S), slots=size.slots,
        max_queued=10_000, overhead_s=HOST_S,
    )  # fmt: skip
    server = Served(engine, scratch / "run-synthetic")
    try:
        runs = Runs(server, scratch / "load-synthetic", lag)
        found = measure("synthetic", runs, size, ("uniform:50:200", "uniform:20:80"))
        return prove("synthetic", found, lambda _: replica), runs.invalid
    finally:
        server.stop()


def prove_cpu(
    size: Size, scratch: Path, lag: float, keep: Path | None = None
) -> tuple[list[Compared], list[str]]:
    """Prove it with the demo model; step times of all runs are kept in ``keep``."""
    engine = scratch / "cpu"
    build_engine(
        BuildRequest(
            checkpoint=CHECKPOINT, out=engine, precision="f32", slots=size.slots,
            max_total_tokens=1024,
        ),
        SilentReporter(),
    )  # fmt: skip
    options = read_manifest(engine).llama_cpp
    assert options is not None
    step_tokens = max(options.micro_batch, size.slots)
    server = Served(engine, scratch / "run-cpu")
    try:
        runs = Runs(server, scratch / "load-cpu", lag)
        found = measure("cpu", runs, size, ("uniform:30:150", "uniform:40:160"))
    finally:
        server.stop()

    def steps(labels: Iterable[str]) -> StepFile:
        return steps_from(
            [seen(rows) for label in labels for _, rows in found[label]],
            slots=size.slots, step_tokens=step_tokens, measured="demo model, this machine",
        )  # fmt: skip

    def replica(labels: Iterable[str]) -> Replica:
        fitted = steps(labels)
        return Replica(
            pace=MeasuredSteps(fitted), slots=fitted.slots, max_queued=10_000,
            step_tokens=fitted.step_tokens, overhead_s=fitted.overhead_s, host=fitted.host,
        )  # fmt: skip

    whole = steps(found)
    print(whole.model_dump_json(), flush=True)
    if keep is not None:
        keep.write_text(whole.model_dump_json(indent=1) + "\n", encoding="utf-8")
    others = {label: [other for other in found if other != label] for label in found}
    proved = prove(
        "cpu", found, lambda label: replica(others[label]), lambda label: replica([label])
    )
    return proved, runs.invalid


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each run")
    parser.add_argument("--turns", type=int, default=4, help="runs of each load")
    parser.add_argument("--engine", choices=("both", "synthetic", "cpu"), default="both")
    parser.add_argument("--max-client-lag", type=float, default=100.0, help="ms")
    parser.add_argument("--steps", type=Path, help="write the fitted step times there")
    parser.add_argument("--keep", type=Path, help="keep engines and results in that new folder")
    a = parser.parse_args()
    if a.slots < 4 or a.seconds < 5 or a.turns < 1:
        parser.error("--slots must be at least 4, --seconds 5, --turns 1")
    size = Size(
        slots=a.slots, seconds=a.seconds, warmup=2.0, turns=a.turns,
        users=(a.slots // 4, a.slots // 2 + 1, a.slots),
    )  # fmt: skip
    found: list[Compared] = []
    invalid: list[str] = []
    print(
        f"{'run':28} {'figure':9} {'measured':>10} {'predicted':>10} {'error':>8} {'own':>8} "
        f"{'spread':>8}"
    )
    with ExitStack() as stack:
        folder = a.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=a.keep is None)
        if a.engine != "cpu":
            some, faults = prove_synthetic(size, folder, a.max_client_lag)
            found, invalid = found + some, invalid + faults
        if a.engine != "synthetic":
            some, faults = prove_cpu(size, folder, a.max_client_lag, a.steps)
            found, invalid = found + some, invalid + faults
    beyond = [line for line in found if not line.within]
    print(f"{len(found) - len(beyond)} of {len(found)} figures are within their bounds")
    print("\n".join(f"not valid: {why}" for why in invalid), end="\n" if invalid else "")
    return 3 if invalid else 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
