"""How exact `gemma4 load` is: ``make bench-meter``.

One Triton server with the synthetic engine, whose pace is known: a request's first token is due
after its prompt at ``--prefill`` tokens/s and one step, each further one a step of ``--pace`` later.
`gemma4 load` measures it in a closed loop at each number of streams, answers of different lengths so
that the streams do not stay in step, over gRPC or through the gateway. What it measured less what
was due is printed: the mean, median and p99 over the requests. The server's own time is inside (it
cannot be taken out from here), so the meter is at least as good as this. Exit status 1 when a mean or
a median is 2 % + 1 ms off, or when the run says that it is not valid.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from meter_figures import Errors, Pace, errors_of, wrong


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", default="1,16,64,256")
    parser.add_argument("--pace", type=float, default=5.0, help="tokens/s of a stream")
    parser.add_argument("--prefill", type=float, default=500.0, help="prompt tokens/s")
    parser.add_argument("--prompt-tokens", default="128")
    parser.add_argument("--output-tokens", default="uniform:10:50")
    parser.add_argument("--warmup", type=float, default=15.0)
    parser.add_argument("--duration", type=float, default=30.0)
    parser.add_argument("--gateway", action="store_true", help="through the OpenAI gateway")
    options = parser.parse_args()
    if min(options.pace, options.prefill) <= 0:
        parser.error("--pace and --prefill must be more than 0")
    return options


def run(options: argparse.Namespace, url: str, out: Path) -> int:
    return subprocess.run(
        [GEMMA4, "load", "--url", url, "--concurrency", options.streams, "--out", out,
         "--prompt-tokens", options.prompt_tokens, "--output-tokens", options.output_tokens,
         "--warmup", str(options.warmup), "--duration", str(options.duration)],
        check=False, stdout=subprocess.DEVNULL,
    ).returncode  # fmt: skip


def line(label: str, name: str, errors: Errors) -> str:
    parts = (errors.true, errors.mean, errors.percentile(50), errors.percentile(99), errors.bound)
    return f"{label:>8} {len(errors.errors):8} {name:>5} " + " ".join(
        f"{value * 1000:9.2f}" for value in parts
    )


def main() -> int:
    options = parse()
    pace = Pace(options.prefill, options.pace)
    slots = max(map(int, options.streams.split(",")))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(
            scratch / "engine",
            tokens_per_s=pace.decode,
            slots=slots,
            prefill_tokens_per_s=pace.prefill,
        )
        server = Served(engine, scratch / "run")
        gateway = RunningGateway(server.grpc) if options.gateway else None
        try:
            url = f"{gateway.url}/v1" if gateway else f"127.0.0.1:{server.grpc}"
            status = run(options, url, scratch / "out")
        finally:
            if gateway:
                gateway.stop()
            server.stop()
        report = json.loads((scratch / "out" / "report.json").read_text())
        with (scratch / "out" / "requests.csv").open(newline="") as file:
            found = errors_of(csv.DictReader(file), pace)
    print(f"{'level':>8} {'requests':>8} {'':>5} {'due ms':>9} {'error: mean':>9}", end="")
    print(f"{'p50':>8} {'p99':>9} {'target':>9}")
    for label, metrics in found.items():
        for name, errors in metrics.items():
            print(line(label, name, errors))
    faults = [why for level in report["levels"] for why in level["invalid_reasons"]]
    faults += wrong(found)
    print("\n".join(faults) if faults else "all within 2 % + 1 ms")
    return 1 if faults or status else 0


if __name__ == "__main__":
    sys.exit(main())
