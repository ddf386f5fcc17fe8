"""How long short requests wait while large ones come: ``python bench/heavy.py``.

The synthetic engine answers at once, so the time to its one token is the host's. A client sends short
chats one after another; beside it come ``--rate`` large requests a second (60,000 empty schemas, 9,000
properties, 1,023 messages for a template that is quadratic in them, a long text, a guide with 9,000
items), by the same way. Milliseconds; ``added`` is the difference of the p99s.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from gemma4_client import Client
from gemma4_testing.servers.heavy_requests import (
    Heavy,
    quadratic_engine,
    short_direct,
    short_ensemble,
    times_of,
)
from gemma4_testing.servers.served import Served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    print(
        "| way | alone p50 | p99 | beside large ones p50 | p99 | added |\n|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        served = Served(quadratic_engine(Path(folder)), Path(folder) / "run")
        with Client(f"127.0.0.1:{served.grpc}", retry=None) as client:
            for name, ask, way in (
                ("ensemble, HTTP", short_ensemble(served), "ensemble"),
                ("direct, gRPC", short_direct(client), "direct"),
            ):
                times_of(ask, 2)
                alone = times_of(ask, options.seconds / 2)
                with Heavy(way, served, rate=options.rate):
                    beside = times_of(ask, options.seconds)
                cells = [
                    alone[len(alone) // 2],
                    _p99(alone),
                    beside[len(beside) // 2],
                    _p99(beside),
                ]
                cells.append(cells[3] - cells[1])
                print(
                    f"| {name} | " + " | ".join(f"{1000 * cell:.1f}" for cell in cells) + " |",
                    flush=True,
                )
        served.stop()


def _p99(times: list[float]) -> float:
    return times[int(len(times) * 0.99)]


if __name__ == "__main__":
    main()
