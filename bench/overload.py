"""Five times what a server can do, for two minutes, by gRPC, HTTP and the gateway: ``make bench-overload``.

Triton with the synthetic engine, whose capacity is its slots; its gateway. `gemma4 load` measures
the capacity of a protocol (closed loop, a stream for each slot), then sends ``--times`` as many requests
(open loop, Poisson). Printed of each: answers per second as a share of the capacity, the time
of a refusal from sending to its end, and what memory the server and the gateway gained. Exit status
1 when goodput is below 90 %, the p99 of a refusal is 50 ms or more, memory grows by more than 8 MB,
or anything else than an answer or a refusal came.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Event, Thread

from gemma4_load.report.files import read_report, read_requests
from gemma4_testing.endurance.trend import trend_of
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from overload_figures import Overload, capacity_of, overload_of

PROTOCOLS = ("gRPC", "HTTP", "gateway")
WARMUP_S = 5.0
TOKENS = 20


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--by", action="append", choices=PROTOCOLS, help="default: all of them")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--queued", type=int, default=16, help="requests that may wait")
    parser.add_argument("--pace", type=float, default=40.0, help="tokens/s of a stream")
    parser.add_argument("--times", type=float, default=5.0, help="of the capacity are sent")
    parser.add_argument("--seconds", type=float, default=120.0, help="of overload, for each")
    parser.add_argument("--out", type=Path, help="a folder for the reports of gemma4 load")
    return parser.parse_args()


def load(url: str, out: Path, seconds: float, *level: str) -> list[dict[str, str]]:
    """Run `gemma4 load` and return its rows; what it says of its own validity is printed."""
    command = [
        str(GEMMA4), "load", "--url", url, "--out", str(out), "--prompt-tokens", "32", "--output-tokens",
        str(TOKENS), "--warmup", str(WARMUP_S), "--duration", str(seconds + WARMUP_S), *level,
    ]  # fmt: skip
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode not in (0, 3):
        raise SystemExit(f"gemma4 load ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
    if ran.returncode == 3:
        reasons = [level["invalid_reasons"] for level in read_report(out)["levels"]]
        print(f"  not valid, says gemma4 load: {json.dumps(reasons)[:500]}", flush=True)
    return read_requests(out)


class Memory(Thread):
    """Megabytes of processes, twice a second until ``over``."""

    def __init__(self, *commands: Served | RunningGateway) -> None:
        super().__init__(daemon=True)
        self._commands, self.over = commands, Event()
        self.course: list[tuple[float, float]] = []

    def run(self) -> None:
        began = time.monotonic()
        while not self.over.wait(0.5):
            total = sum(command.memory() for command in self._commands)
            self.course.append((time.monotonic() - began, total / 1e6))


def measure(
    options: argparse.Namespace, protocol: str, url: str, out: Path, memory: Memory
) -> Overload:
    least = max(15.0, options.seconds / 4)
    rows = load(url, out / f"{protocol}-capacity", least, "--concurrency", str(options.slots))
    capacity = capacity_of(rows, WARMUP_S, WARMUP_S + least)
    memory.start()
    began = time.monotonic()
    rate = f"{capacity * options.times:.2f}"
    rows = load(url, out / f"{protocol}-overload", options.seconds, "--rate", rate)
    seconds = time.monotonic() - began
    memory.over.set()
    memory.join()
    found = overload_of(rows, capacity, WARMUP_S, WARMUP_S + options.seconds)
    trend = trend_of(memory.course)
    found.growth_mb, found.growth_error_mb = (
        per_hour * seconds / 3600 for per_hour in (trend.slope, trend.error)
    )
    return found


def main() -> int:
    options = parse()
    bad = False
    print(f"{'protocol':8} {'capacity/s':>10} {'offered/s':>9} {'goodput/s':>9} {'share':>6} "
          f"{'refused':>7} {'p50 ms':>7} {'p99 ms':>7} {'max ms':>7} {'memory MB':>12}")  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="gemma4-overload-") as name:
        folder = Path(name)
        engine = synthetic_engine(folder / "engine", tokens_per_s=options.pace, slots=options.slots)
        for protocol in options.by or PROTOCOLS:
            served = Served(
                engine, folder / f"run-{protocol}", "--max-queued", str(options.queued),
                "--quality-gate", "off",
            )  # fmt: skip
            gateway = RunningGateway(served.grpc)
            url = {
                "gRPC": f"127.0.0.1:{served.grpc}",
                "HTTP": f"http://127.0.0.1:{served.http}",
                "gateway": f"{gateway.url}/v1",
            }[protocol]
            out = options.out or folder / "load"
            found = measure(options, protocol, url, out, Memory(served, gateway))
            statuses = [gateway.stop(), served.stop()]
            p50, p99, most = (found.refusal(q) * 1000 for q in (50, 99, 100))
            print(f"{protocol:8} {found.capacity:10.1f} {found.offered:9.1f} {found.goodput:9.1f} "
                  f"{found.share:6.0%} {len(found.refusals):7} {p50:7.1f} {p99:7.1f} {most:7.1f} "
                  f"{found.growth_mb:+6.1f}+/-{found.growth_error_mb:.1f}", flush=True)  # fmt: skip
            missed = found.missed() + ([f"exit statuses {statuses}"] if any(statuses) else [])
            for target in missed:
                print(f"  missed: {target}", flush=True)
            bad |= bool(missed)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
