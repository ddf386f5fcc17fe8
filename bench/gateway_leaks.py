"""Memory, descriptors and threads of a gateway over many requests, a third of which are left:
``.venv/bin/python bench/gateway_leaks.py --requests 10000``. Tests run the same with fewer."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.gateway_churn import Footprint, churn
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--running", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = synthetic_engine(Path(folder) / "engine", tokens_per_s=200.0, slots=256)
        server = Served(engine, Path(folder) / "run")
        gateway = RunningGateway(server.grpc)
        try:
            started = time.monotonic()
            each = options.requests // options.steps
            for step in range(options.steps + 1):
                time.sleep(0.5)
                now = Footprint.of(gateway.process.pid)
                print(
                    f"{step * each:>6} requests {time.monotonic() - started:>6.0f} s   "
                    f"{now.rss / 1e6:>6.1f} MB, {now.descriptors} descriptors, "
                    f"{now.threads} threads",
                    flush=True,
                )
                if step < options.steps:
                    asyncio.run(churn(gateway.port, MODEL, each, running=options.running, tokens=8))
        finally:
            gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
