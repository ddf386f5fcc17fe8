"""What the quality gate costs: ``python bench/gate_cost.py``.

Two servers with the demo engine run at once and nobody asks them, one with the gate at its own pace
and one without. Printed is the CPU time that their engine processes, and all their processes, took
meanwhile, by the kernel's clocks. The difference is the gate's, and is compared with what one core
could have done: the demo's engine computes on one. A busy server costs nothing: the gate waits
until nobody asks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.scrape import scrape, value
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

CHECKPOINT = Path(__file__).resolve().parents[1] / "demo" / "checkpoint"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="f32", choices=("f32", "int8", "int4"))
    parser.add_argument("--seconds", type=float, default=240.0)
    return parser.parse_args()


def engine_cpu(server: Served) -> float:
    times = psutil.Process(server.board()[Field.ENGINE_PID]).cpu_times()
    return times.user + times.system


def runs(server: Served) -> float:
    return value(scrape(server), "gemma4_quality_gate_runs_total", result="passed")


def main() -> None:
    options = parse()
    folder = Path(tempfile.mkdtemp(prefix="gate-cost-"))
    request = BuildRequest(checkpoint=CHECKPOINT, out=folder / "e", precision=options.precision)
    build_engine(request, SilentReporter())
    servers = {
        "off": Served(folder / "e", folder / "off", "--quality-gate", "off"),
        "report": Served(folder / "e", folder / "on", "--quality-gate", "report"),
    }
    try:
        wait_until(lambda: runs(servers["report"]) >= 1, 300, every=0.5)
        time.sleep(5)
        before = {name: (engine_cpu(s), s.cpu()) for name, s in servers.items()}
        began, ran = time.monotonic(), runs(servers["report"])
        time.sleep(options.seconds)
        took = time.monotonic() - began
        spent = {
            name: tuple(
                now - then for now, then in zip((engine_cpu(s), s.cpu()), before[name], strict=True)
            )
            for name, s in servers.items()
        }
        made = runs(servers["report"]) - ran
    finally:
        for server in servers.values():
            server.stop()
    for name, (engine, whole) in spent.items():
        print(f"gate {name:7} engine {engine:.2f} s, all processes {whole:.2f} s of CPU")
    for name, which in (("engine", 0), ("all processes", 1)):
        cost = spent["report"][which] - spent["off"][which]
        print(
            f"{name}: {cost:.2f} s in {took:.0f} s = {cost / took:.2%} of a core, {made:.0f} runs"
        )


if __name__ == "__main__":
    main()
