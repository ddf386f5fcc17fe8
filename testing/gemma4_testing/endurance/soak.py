"""A soak: mixed requests for minutes, and whether anything grows meanwhile.

``python -m gemma4_testing.endurance.soak [--minutes N] [--out FILE]``. Prints a table of slopes
with their errors. Exit status 0: all is flat; 1: something grows, failed, or a process was lost;
3: the run was too short or too disturbed to say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import psutil
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

from gemma4_testing.endurance.footprint import ALLOWED, COUNTS, Courses, sample
from gemma4_testing.endurance.traffic import Ports, Traffic
from gemma4_testing.endurance.trend import WARM_UP, Verdict, trend_at_rest, trend_of
from gemma4_testing.engine_folders.synthetic_engine import CHECKPOINT
from gemma4_testing.servers.process_tree import lasting
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

LATENCY_SHARE = 0.25
"""Growth per hour of the median of a short answer, as a share of it, that is called flat."""
IDLE_S = 30


def _watched(
    traffic: Traffic, courses: Courses, resting: Courses, roots: dict[str, int], run_dir: Path
) -> None:
    """Sample until the traffic is over, and at each rest."""

    async def at_rest() -> None:
        await asyncio.to_thread(sample, resting, traffic.at(), roots, run_dir)

    traffic.at_rest = at_rest

    async def watch() -> None:
        every = max(0.5, traffic.seconds / 400)
        while not traffic.over():
            await asyncio.to_thread(sample, courses, traffic.at(), roots, run_dir)
            await asyncio.sleep(every)

    async def both() -> None:
        await asyncio.gather(watch(), traffic.run())

    asyncio.run(both())


def _table(courses: Courses, resting: Courses, traffic: Traffic) -> list[Verdict]:
    """Print a line for each figure and return the verdicts."""
    print(f"{'':22} {'figure':14} {'median':>9} {'per hour':>9} {'+/- 99 %':>9} {'allowed':>9}")
    rows = [(name, figure, course, ALLOWED[figure]) for (name, figure), course in courses.items()]
    for way, course in traffic.latency.items():
        shown = [(at, seconds * 1000) for at, seconds in course]
        rows.append((way, "answer ms", shown, -LATENCY_SHARE))
    verdicts = []
    for name, figure, course, bound in rows:
        try:
            still = resting.get((name, figure), ())
            trend = trend_at_rest(still) if figure in COUNTS and still else trend_of(course)
        except ValueError as error:
            print(f"{name:22} {figure:14} {error}")
            verdicts.append(Verdict.UNCLEAR)
            continue
        allowed = bound if bound > 0 else -bound * trend.level
        verdicts.append(trend.verdict(allowed))
        print(f"{name:22} {figure:14} {trend.level:9.1f} {trend.slope:+9.2f} {trend.error:9.2f} "
              f"{allowed:9.1f} {verdicts[-1].value}")  # fmt: skip
    return verdicts


def _verdict(verdicts: list[Verdict], troubles: list[str]) -> int:
    for trouble in troubles:
        print(f"FAILED {trouble}")
    counts = {v: verdicts.count(v) for v in Verdict}
    print(f"{counts[Verdict.FLAT]} figures flat, {counts[Verdict.UNCLEAR]} unclear, "
          f"{counts[Verdict.GROWS]} grow, {len(troubles)} failures")  # fmt: skip
    if troubles or counts[Verdict.GROWS]:
        return 1
    return 3 if counts[Verdict.UNCLEAR] else 0


def soak(folder: Path, minutes: float, out: Path | None) -> int:
    """Return the exit status."""
    engine = folder / "engine"
    build_engine(
        BuildRequest(
            checkpoint=CHECKPOINT, out=engine, precision="f32", slots=8, max_total_tokens=2048
        ),
        SilentReporter(),
    )
    served = Served(engine, folder / "run")
    gateway = RunningGateway(served.grpc, args=("--response-store", str(folder / "stored.db")))
    roots = {"gemma4 serve": served.process.pid, "gateway": gateway.process.pid}
    before = {p.pid for pid in roots.values() for p in lasting(pid)}
    courses: Courses = defaultdict(list)
    resting: Courses = defaultdict(list)
    traffic = Traffic(Ports(served.grpc, served.http, gateway.port, MODEL), minutes * 60)
    _watched(traffic, courses, resting, roots, served.run_dir)
    wait_until(served.idle, IDLE_S)
    after = {p.pid for pid in roots.values() if psutil.pid_exists(pid) for p in lasting(pid)}
    troubles = list(traffic.failures)
    if before != after:
        troubles.append(f"processes lost {before - after}, new {after - before}")
    troubles += [
        f"in the log: {line[:300]}"
        for line in (*served.output, *gateway.output)
        if "Traceback" in line or '"event": "server_lost"' in line or '"event":"fault"' in line
    ]
    status = (gateway.stop(), served.stop())
    if status != (0, 0):
        troubles.append(f"exit statuses of gateway and server: {status}")
    kinds: dict[str, dict[str, int]] = defaultdict(dict)
    for (kind, end), number in sorted(traffic.counts.items()):
        kinds[kind][end] = number
    print(f"{traffic.sent} requests in {traffic.at() / 60:.1f} minutes, {traffic.compared} answers "
          f"compared; the first {WARM_UP:.0%} is warm-up")  # fmt: skip
    for kind, ends in kinds.items():
        print(f"  {kind}: " + ", ".join(f"{number} {end}" for end, number in ends.items()))
    if out:
        found = {f"{name}: {figure}": course for (name, figure), course in courses.items()}
        latency = {f"{way}: seconds": course for way, course in traffic.latency.items()}
        rests = {f"{name}: {figure} at rest": course for (name, figure), course in resting.items()}
        out.write_text(json.dumps(found | latency | rests))
    return _verdict(_table(courses, resting, traffic), troubles)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--out", type=Path, help="a file for all samples, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gemma4-soak-") as folder:
        return soak(Path(folder), options.minutes, options.out)


if __name__ == "__main__":
    sys.exit(main())
