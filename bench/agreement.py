"""`gemma4 load`, AIPerf and locust on one server: ``make bench-agreement``.

One Triton server with the synthetic engine, whose pace is known, and one gateway; then, at each
number of streams and in every round, the three tools one after another, starting with another one
each time: the same prompts, answers of the same length, a closed loop, a warm-up that is not counted.
Prints medians over the rounds, in a table for each number of streams, with the ratio to
`gemma4 load`. Exit status 1 when a figure differs by more than ``--tolerance``, or when a tool's run
says nothing about the server (failed requests, a client that was late).

What each tool calls TTFT, ITL and throughput: docs/load_testing.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from agreement_figures import Figures, NotComparableError, apart, median, table
from agreement_tools import AIPerf, GemmaLoad, Load, Locust, Tool, write_prompts
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served

ROOT = Path(__file__).parents[1]

Measured = dict[str, list[Figures]]
"""By tool, one for each round."""


def measure(
    loads: Sequence[Load], tools: Sequence[Tool], rounds: int, scratch: Path
) -> list[Measured]:
    """Measure each load. Raises :class:`NotComparableError`."""
    found: list[Measured] = [{tool.name: [] for tool in tools} for _ in loads]
    for turn in range(rounds):
        first = turn % len(tools)
        for load, measured in zip(loads, found, strict=True):
            for tool in (*tools[first:], *tools[:first]):
                print(f"round {turn + 1}, {load.users} streams: {tool.name}", file=sys.stderr)
                folder = scratch / f"{turn}-{load.users}-{tool.name.replace(' ', '-')}"
                measured[tool.name].append(tool.measure(load, folder))
    return found


def show(loads: Sequence[Load], found: Sequence[Measured], tolerance: float) -> bool:
    """Return True when the tools agree."""
    wrong = []
    for load, measured in zip(loads, found, strict=True):
        medians = {tool: median(runs) for tool, runs in measured.items()}
        title = f"{load.users} stream{'s' if load.users > 1 else ''}"
        print(table(title, medians) + "\n")
        wrong += [f"{title}: {line}" for line in apart(medians, tolerance)]
    print("\n".join(wrong) if wrong else f"all within {tolerance:.1%}")
    return not wrong


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--duration", type=int, default=30, help="seconds of a run that are measured"
    )
    parser.add_argument("--warmup", type=int, default=3, help="seconds before it")
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--output-tokens", type=int, default=32)
    parser.add_argument("--pace", type=float, default=50.0, help="tokens/s of a stream")
    parser.add_argument("--prefill", type=float, default=2000.0, help="prompt tokens/s")
    parser.add_argument("--tolerance", type=float, default=0.05, help="a share of gemma4 load's")
    parser.add_argument("--aiperf", type=Path, default=ROOT / ".venv-aiperf" / "bin" / "aiperf")
    options = parser.parse_args()
    least = {"rounds": 1, "duration": 1, "warmup": 1, "prompt_tokens": 1, "output_tokens": 2}
    for name, bound in least.items():
        if getattr(options, name) < bound:
            parser.error(f"--{name.replace('_', '-')}: must be at least {bound}")
    if min(options.streams) < 1 or len(set(options.streams)) < len(options.streams):
        parser.error("--streams: must be different numbers of at least 1")
    if min(options.pace, options.prefill) <= 0 or options.tolerance < 0:
        parser.error("--pace and --prefill must be more than 0, --tolerance at least 0")
    if not options.aiperf.is_file():
        parser.error(f"--aiperf {options.aiperf}: is not there; `make bench-agreement` installs it")
    return options


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        engine = synthetic_engine(
            scratch / "engine",
            tokens_per_s=options.pace,
            slots=max(options.streams),
            prefill_tokens_per_s=options.prefill,
        )
        server = Served(engine, scratch / "run")
        gateway = RunningGateway(server.grpc)
        try:
            loads = [
                Load(
                    gateway.url, users, options.warmup, options.duration,
                    options.prompt_tokens, options.output_tokens,
                )
                for users in options.streams
            ]  # fmt: skip
            prompts = scratch / "prompts.jsonl"
            write_prompts(prompts, loads[0])
            tools = [GemmaLoad(), AIPerf(options.aiperf, prompts), Locust()]
            found = measure(loads, tools, options.rounds, scratch)
        except NotComparableError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            gateway.stop()
            server.stop()
    return 0 if show(loads, found, options.tolerance) else 1


if __name__ == "__main__":
    sys.exit(main())
