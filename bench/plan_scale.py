"""What a simulation costs: ``make bench-plan-scale``.

A day whose busiest minute has five times the mean, and an hour of a trace in Mooncake's form (long
prompts in blocks of 512 tokens, conversations that grow, one system prompt), each at 1, 100 and
1,000 replicas of one H200 in fp8. Each runs in a process of its own. Prints requests of the traffic,
requests and replicas that were simulated, seconds of CPU (which other work on the machine does not
change much) and of the clock, CPU seconds for 10⁶ requests, and the memory at its highest. ``--whole``
adds the same without a sample, up to so many replicas.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
from gemma4_load.workloads.lengths import Length
from gemma4_plan.catalog import read_catalog
from gemma4_plan.fleet.replica import replica_of
from gemma4_plan.gpu_memory import Split
from gemma4_plan.simulate import Fleet, Gateway, Slos, Traffic, day_rates, simulate
from gemma4_plan.speed.fitted import read_fitted

_RATE = 1.0
"""Requests/s of a replica, the mean of the day."""
_TRACE_RATE = 1.0
"""Requests/s of a replica with the trace's long prompts."""
_BLOCK = 512
SLOS = Slos(ttft_s=1.0, itl_s=0.03)


def trace(lines: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return an hour of Poisson arrivals: conversations of a geometric number of turns, each of
    which has the blocks of the one before it and its own."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 3.6e6, lines))
    open_ones: list[list[int]] = []
    found, block = [], 1
    for at in times:
        goes_on = open_ones and rng.random() < 0.6
        blocks = open_ones.pop(int(rng.integers(len(open_ones)))) if goes_on else [0]
        added = max(1, round(float(rng.lognormal(math.log(5), 0.9))))
        blocks = [*blocks, *range(block, block + added)][:200]
        block += added
        length = (len(blocks) - 1) * _BLOCK + int(rng.integers(1, _BLOCK + 1))
        output = max(1, round(float(rng.lognormal(math.log(120), 0.8))))
        found.append(
            {
                "timestamp": float(at), "input_length": length, "output_length": output,
                "hash_ids": blocks,
            }
        )  # fmt: skip
        open_ones.append(blocks)
        del open_ones[:-500]
    return found


def one(kind: str, replicas: int, whole: bool) -> dict[str, Any]:
    """Simulate one of them in this process."""
    card, fitted = read_catalog().gpus["h200"], read_fitted()
    prompt, output = (8000.0, 170.0) if kind == "trace" else (1200.0, 350.0)
    replica = replica_of(
        "h200", card, Split(precision="fp8"), fitted, slots=256, prompt=prompt, output=output
    )
    if kind == "trace":
        lines = trace(3600)
        rate = len(lines) / 3600
        traffic = Traffic(
            trace=lines, speed=_TRACE_RATE * replicas / rate, repeat=True, seconds=3600, slos=SLOS
        )
    else:
        traffic = Traffic(
            rates=day_rates(_RATE * replicas, peak=5), prompt=Length("lognormal", 900, 0.75),
            output=Length("lognormal", 280, 0.65), slos=SLOS,
        )  # fmt: skip
    gateways = math.ceil(replicas * replica.slots / 1024)
    fleet = Fleet(replica=replica, replicas=replicas, gateway=Gateway(gateways=gateways))
    began, cpu = time.perf_counter(), time.process_time()
    found = simulate(traffic, fleet, most_requests=math.inf if whole else 500_000)
    cpu = time.process_time() - cpu
    return {
        "kind": kind, "replicas": replicas, "arrived": found.arrived,
        "simulated": found.simulated_requests, "simulated_replicas": found.simulated_replicas,
        "cpu_s": cpu, "wall_s": time.perf_counter() - began,
        "per_million_s": cpu / found.simulated_requests * 1e6,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "ttft_ms": [found.ttft.p50 * 1e3, found.ttft.p95 * 1e3],
        "itl_ms": [found.itl.p50 * 1e3, found.itl.p95 * 1e3],
        "attainment": found.attainment,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", default="1,100,1000")
    parser.add_argument("--kinds", default="day,trace")
    parser.add_argument("--whole", type=int, default=0, help="up to so many, without a sample too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.one:
        kind, replicas, whole = a.one.split(",")
        print(json.dumps(one(kind, int(replicas), whole == "whole")))
        return
    print(
        f"{'':8} {'replicas':>8} {'requests':>12} {'simulated':>10} {'on':>5} {'CPU s':>7} {'s':>7} "
        f"{'s/10⁶':>6} {'MB':>5} {'TTFT p50, p95 ms':>18} {'ITL p50, p95 ms':>16} {'kept':>7}"
    )
    for kind in a.kinds.split(","):
        for replicas in map(int, a.replicas.split(",")):
            for whole in ("part", "whole")[: 1 + (replicas <= a.whole)]:
                ran = subprocess.run(
                    [sys.executable, __file__, "--one", f"{kind},{replicas},{whole}"],
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                x = json.loads(ran.stdout)
                ttft, itl = (" ".join(f"{v:.4g}" for v in x[n]) for n in ("ttft_ms", "itl_ms"))
                print(
                    f"{kind:8} {replicas:8} {x['arrived']:12,.0f} {x['simulated']:10,} "
                    f"{x['simulated_replicas']:5} {x['cpu_s']:7.1f} {x['wall_s']:7.1f} "
                    f"{x['per_million_s']:6.0f} {x['mb']:5.0f} {ttft:>18} {itl:>16} "
                    f"{x['attainment']:7.2%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
