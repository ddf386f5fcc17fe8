"""Ask a real Prometheus every query of the dashboards, and draw what it answers (``--draw``)."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_testing.dashboards.checks import Answer, ask_all, wrong
from gemma4_testing.dashboards.dashboard_files import asked, defaults, read
from gemma4_testing.dashboards.drawing import draw
from gemma4_testing.dashboards.real_prometheus import RealPrometheus
from gemma4_testing.dashboards.stand_ins import StandInServer
from gemma4_testing.dashboards.traffic import Traffic, key_file
from gemma4_testing.deploy.compose_files import ROOT
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served

QUIET_S, TRAFFIC_S, LOST_S = 6, 30, 6
"""Seconds without requests, with them, and with them after one of the servers has ended."""


@contextmanager
def stopped(*things: Command | RealPrometheus | StandInServer) -> Iterator[None]:
    try:
        yield
    finally:
        for thing in things:
            thing.stop()


def engines(folder: Path) -> tuple[Path, Path]:
    """A synthetic one of a known pace, and the demo model on llama.cpp."""
    demo = BuildRequest(
        checkpoint=ROOT / "demo" / "checkpoint", out=folder / "demo", precision="f32", slots=4,
        max_total_tokens=2048,
    )  # fmt: skip
    build_engine(demo, SilentReporter())
    synthetic = synthetic_engine(
        folder / "synthetic", tokens_per_s=60, slots=4, prefill_tokens_per_s=2000
    )
    return synthetic, folder / "demo"


def exported(*ports: int) -> set[str]:
    """Names of all series at these ports."""
    names = set()
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        names |= {line.partition(" ")[0].partition("{")[0] for line in lines if line[:1] != "#"}
    return names


def variables(rate_window: str, window: int, jobs: list[str]) -> dict[str, dict[str, str]]:
    """Of each board, as Grafana fills them in: All jobs, instances and namespaces."""
    looked_up = {"namespace": ".*", "instance": ".*", "job": f"({'|'.join(jobs)})"}
    inner = {"__rate_interval": rate_window, "__range": f"{window}s"}
    return {name: defaults(board) | looked_up | inner for name, board in read().items()}


def report(answers: list[Answer], *, traffic: bool) -> int:
    """Print what is wrong, and return how many are."""
    found = [(answer, why) for answer in answers if (why := wrong(answer, traffic=traffic))]
    for answer, why in found:
        print(f"WRONG  {answer.asked.where}: {why}\n       {answer.query}")
    full = sum(bool(answer.series) for answer in answers)
    when = "with traffic" if traffic else "before any request"
    print(f"{when}: {len(answers)} queries, {full} with series, {len(found)} wrong")
    return len(found)


def run(folder: Path, pictures: Path | None) -> int:
    synthetic, demo = engines(folder)
    first = Served(synthetic, folder / "run1", "--max-queued", "2")
    second = Served(demo, folder / "run2", "--max-queued", "4")
    gateway = RunningGateway(
        second.grpc,
        args=(
            f"--backend=dns:///localhost:{first.grpc}",
            f"--api-keys-file={key_file(folder)}",
        ),
    )  # fmt: skip
    fill = StandInServer(exported(first.metrics, second.metrics, gateway.port))
    for one in fill.used:
        print(f"stand-in: {one.family} ({one.why})")
    targets = {
        "triton": [first.metrics, second.metrics],
        "gateway": [gateway.port],
        "triton-stand-in": [fill.port],
    }
    prometheus = RealPrometheus(folder, targets)
    queries = list(asked(read()))
    with stopped(prometheus, fill, gateway, second, first):
        start = time.time()
        time.sleep(QUIET_S)
        seen = variables("4s", QUIET_S, list(targets))
        failures = report(
            list(ask_all(queries, prometheus, seen, start, time.time())), traffic=False
        )
        made = Traffic(gateway.url).run(TRAFFIC_S)
        second.stop()
        made += Traffic(gateway.url).run(LOST_S)
        time.sleep(2)
        end = time.time()
        seen = variables("4s", int(end - start), list(targets))
        answers = list(ask_all(queries, prometheus, seen, start, end))
        print(f"{made} requests")
        failures += report(answers, traffic=True)
        if pictures is not None:
            draw(read(), answers, pictures, start, end)
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=Path, help="Folder for a page and a picture of each board.")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dashboards-") as name:
        failed = run(Path(name), options.draw)
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))
