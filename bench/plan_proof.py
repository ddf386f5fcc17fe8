"""Whether ``gemma4 plan simulate`` predicts what ``gemma4 load`` measures: ``make bench-plan``.

First the synthetic engine, whose pace is known and needs no measurement; then the demo model on the
CPU, whose step times are measured first, with other loads and lengths than those that are predicted.
Each is asked in a closed loop and in an open one, at three loads of which the last is near
saturation. Prints throughput, TTFT and ITL of each run, as measured and as predicted. Exit status 1
when one is beyond its bound (5 % for the known pace; for the measured one 10 % of throughput, 20 %
of latency), 3 when a run of ``gemma4 load`` was not valid.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_load.report.files import read_report, read_requests
from gemma4_plan.simulate import Replica, StreamPace
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_runtime.manifest import read_manifest
from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT, synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served
from plan_proof_figures import BOUNDS, Compared, compare, predict, steps_of

HOST_S = 0.0042
"""Seconds of a request around the engine, over gRPC: `make bench-meter` measures 3.5 to 5.2 ms."""
PACE_S, PREFILL_S = 1 / 50, 1 / 2000
"""Seconds of a token of the synthetic engine: generated, and of a prompt."""
LOADS = (0.4, 0.7, 0.9)
"""Of the closed loop's throughput at full slots: requests/s of the open loop."""


@dataclass(frozen=True)
class Size:
    """Of a proof: ``slots`` of the engines, seconds of a run and of its warm-up, and of a run that
    measures a step time."""

    slots: int
    seconds: float
    warmup: float
    calibration_s: float
    users: tuple[int, ...]
    loads: tuple[float, ...]


class Runs:
    """Runs of ``gemma4 load`` against one server."""

    def __init__(self, server: Served, folder: Path, max_lag_ms: float) -> None:
        self._url = f"127.0.0.1:{server.grpc}"
        self._folder = folder
        self._lag = max_lag_ms
        self.invalid: list[str] = []
        self._count = 0

    def run(self, *words: str, label: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
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


def calibrate(runs: Runs, size: Size, step_tokens: int) -> StepFile:
    """Measure the step times of the engine behind ``runs``."""

    def figure(name: str, prompt: int, output: int, users: int) -> tuple[float, float]:
        level, _ = runs.run(
            "--concurrency", str(users), "--duration", f"{size.calibration_s:g}", "--warmup", "1",
            "--prompt-tokens", str(prompt), "--output-tokens", str(output),
            label=f"{name} of {users} users",
        )  # fmt: skip
        return level["requests"][name]["p50"], level["requests"]["prompt_tokens"]["p50"]

    streams = [n for n in (1, 2, 4, 8, 16, 32) if n < size.slots] + [size.slots]
    itl = {users: figure("itl", 16, 200, users)[0] for users in streams}
    ttft = {}
    for prompt in (16, 64, 128, 256):
        seconds, tokens = figure("ttft", prompt, 2, 1)
        ttft[round(tokens)] = seconds
    return steps_of(
        itl, ttft, slots=size.slots, step_tokens=step_tokens, measured="demo model, this machine"
    )


def prove(
    kind: str, runs: Runs, replica: Replica, size: Size, lengths: tuple[str, str]
) -> list[Compared]:
    """Measure and predict every load."""
    common = (
        "--prompt-tokens", lengths[0], "--output-tokens", lengths[1],
        "--duration", f"{size.seconds:g}", "--warmup", f"{size.warmup:g}",
    )  # fmt: skip
    found: list[Compared] = []
    most = 0.0
    for users in size.users:
        label = f"{kind}, {users} users"
        level, rows = runs.run("--concurrency", str(users), *common, label=label)
        predicted = predict(level, rows, replica)
        found += compare(label, level, predicted, BOUNDS[kind])
        if users <= replica.slots:
            most = max(most, predicted.request_throughput)
    for load in size.loads:
        rate = load * most
        label = f"{kind}, {load:.0%} of {most:.3g}/s"
        level, rows = runs.run("--rate", f"{rate:.3f}", *common, label=label)
        found += compare(label, level, predict(level, rows, replica), BOUNDS[kind])
    for line in found:
        print(row(line), flush=True)
    return found


def row(line: Compared) -> str:
    """Return a line of the table."""
    unit = 1.0 if line.name == "tokens/s" else 1e3
    return (
        f"{line.run:28} {line.name:9} {line.measured * unit:10.1f} {line.predicted * unit:10.1f} "
        f"{line.error:+8.1%} {'' if line.within else 'beyond ' + format(line.bound, '.0%')}"
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
        lengths = ("uniform:50:200", "uniform:20:80")
        return prove("synthetic", runs, replica, size, lengths), runs.invalid
    finally:
        server.stop()


def prove_cpu(
    size: Size, scratch: Path, lag: float, keep: Path | None = None
) -> tuple[list[Compared], list[str]]:
    """Prove it with the demo model; its step times are kept in ``keep``."""
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
    server = Served(engine, scratch / "run-cpu")
    try:
        runs = Runs(server, scratch / "load-cpu", lag)
        steps = calibrate(runs, size, max(options.micro_batch, size.slots))
        print(steps.model_dump_json(), flush=True)
        if keep is not None:
            keep.write_text(steps.model_dump_json(indent=1) + "\n", encoding="utf-8")
        replica = Replica(
            pace=MeasuredSteps(steps), slots=steps.slots, max_queued=10_000,
            step_tokens=steps.step_tokens, overhead_s=steps.overhead_s,
        )  # fmt: skip
        lengths = ("uniform:30:150", "uniform:40:160")
        return prove("cpu", runs, replica, size, lengths), runs.invalid
    finally:
        server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run")
    parser.add_argument("--calibration", type=float, default=8.0, help="seconds of each step time")
    parser.add_argument("--engine", choices=("both", "synthetic", "cpu"), default="both")
    parser.add_argument("--max-client-lag", type=float, default=100.0, help="ms")
    parser.add_argument("--steps", type=Path, help="write the measured step times there")
    a = parser.parse_args()
    if a.slots < 4 or a.seconds < 5 or a.calibration < 2:
        parser.error("--slots must be at least 4, --seconds 5, --calibration 2")
    size = Size(
        slots=a.slots, seconds=a.seconds, warmup=4.0, calibration_s=a.calibration,
        users=(a.slots // 4, a.slots // 2 + 1, a.slots), loads=LOADS,
    )  # fmt: skip
    found: list[Compared] = []
    invalid: list[str] = []
    print(f"{'run':28} {'figure':9} {'measured':>10} {'predicted':>10} {'error':>8}")
    with tempfile.TemporaryDirectory() as folder:
        if a.engine != "cpu":
            some, faults = prove_synthetic(size, Path(folder), a.max_client_lag)
            found, invalid = found + some, invalid + faults
        if a.engine != "synthetic":
            some, faults = prove_cpu(size, Path(folder), a.max_client_lag, a.steps)
            found, invalid = found + some, invalid + faults
    beyond = [line for line in found if not line.within]
    print(f"{len(found) - len(beyond)} of {len(found)} figures are within their bounds")
    print("\n".join(f"not valid: {why}" for why in invalid), end="\n" if invalid else "")
    return 3 if invalid else 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
