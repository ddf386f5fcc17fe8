"""Memory, descriptors and threads of a gateway over many requests, a third of which are left:
``.venv/bin/python bench/gateway_leaks.py --requests 10000``. Tests run the same with fewer."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from gateway import GEMMA4, ROOT, Process, synthetic_engine

sys.path.insert(0, str(ROOT / "tests"))

from e2e.gateway.churn import Footprint, churn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--running", type=int, default=64)
    options = parser.parse_args()
    assert GEMMA4.exists()
    with tempfile.TemporaryDirectory() as folder:
        engine = synthetic_engine(Path(folder) / "engine", pace=200.0)
        server = Process("serve", "--engine", str(engine), "--http-port", "0", "--grpc-port", "0",
                         "--metrics-port", "0")  # fmt: skip
        gateway = Process("gateway", "--port", "0", "--served-model-name", "bench",
                          "--backend", f"127.0.0.1:{server.port('gRPC')}")  # fmt: skip
        try:
            started = time.monotonic()
            each = options.requests // options.steps
            for step in range(options.steps + 1):
                time.sleep(0.5)
                now = Footprint.of(gateway.popen.pid)
                print(
                    f"{step * each:>6} requests {time.monotonic() - started:>6.0f} s   "
                    f"{now.rss / 1e6:>6.1f} MB, {now.descriptors} descriptors, "
                    f"{now.threads} threads",
                    flush=True,
                )
                if step < options.steps:
                    port = gateway.port("URL")
                    asyncio.run(churn(port, "bench", each, running=options.running, tokens=8))
        finally:
            gateway.stop()
            server.stop()


if __name__ == "__main__":
    main()
