"""``gemma4 plan simulate``: traffic against a fleet that does not exist yet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gemma4_cli.fail import fail_import
from gemma4_cli.limits import MOST_COUNT, MOST_QUEUED, MOST_SEED
from gemma4_cli.plan_answer import refuse
from gemma4_cli.plan_limits import (
    LEAST,
    MOST_EVERY_S,
    MOST_GATEWAYS,
    MOST_MS,
    MOST_PEAK,
    MOST_RATE,
    MOST_REPLICAS,
    MOST_SECONDS,
    MOST_TIMES,
    MOST_TOKENS,
    MOST_USERS,
)

__all__ = ["simulate"]

_FLEET = "The fleet"
_GATEWAY = "The gateways"
_SLO = "What has to hold"


def simulate(
    rate: Annotated[
        float | None,
        typer.Option(
            min=LEAST, max=MOST_RATE, help="Requests/s, the mean of a day (or of --seconds)."
        ),
    ] = None,
    peak: Annotated[
        float,
        typer.Option(min=1, max=MOST_PEAK, help="Busiest minute of the day against the mean."),
    ] = 1.0,
    users: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_USERS, help="A closed loop: each asks again when answered."),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="JSON lines, as `gemma4 load --trace` takes them.")
    ] = None,
    trace_speed: Annotated[
        float, typer.Option(min=LEAST, max=MOST_TIMES, help="Replay so many times faster.")
    ] = 1.0,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=LEAST,
            max=MOST_SECONDS,
            help="Simulated time; default a day, or the trace once. A trace is repeated.",
        ),
    ] = None,
    warmup: Annotated[
        float, typer.Option(min=0, max=MOST_SECONDS, help="Seconds before the figures begin.")
    ] = 0.0,
    prompt_tokens: Annotated[
        str, typer.Option(help="N, uniform:LOW:HIGH, normal:MEAN:STD or lognormal:MEDIAN:SIGMA.")
    ] = "1024",
    output_tokens: Annotated[str, typer.Option(help="The same, of answers.")] = "512",
    shared_prefixes: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_COUNT, help="Groups of prompts that begin alike (system prompts)."
        ),
    ] = 0,
    prefix_tokens: Annotated[
        int, typer.Option(min=0, max=MOST_TOKENS, help="Tokens of each beginning.")
    ] = 0,
    ttft_ms: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_MS, help="Time to the first token.", rich_help_panel=_SLO),
    ] = None,
    itl_ms: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_MS, help="Time between two tokens.", rich_help_panel=_SLO),
    ] = None,
    e2e_ms: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_MS, help="Time to the last token.", rich_help_panel=_SLO),
    ] = None,
    attainment: Annotated[
        float,
        typer.Option(
            min=LEAST, max=1, help="Share of requests that keep them.", rich_help_panel=_SLO
        ),
    ] = 0.95,
    gpu: Annotated[
        str | None,
        typer.Option(help="GPU of the catalog, such as h200.", rich_help_panel=_FLEET),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="bf16, fp8, nvfp4 or int4.", rich_help_panel=_FLEET)
    ] = "fp8",
    tp: Annotated[
        int, typer.Option(min=1, max=16, help="GPUs of a replica.", rich_help_panel=_FLEET)
    ] = 1,
    ep: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=16,
            help="Of these, GPUs that split the experts by number; default all.",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="latency, throughput, long-context.", rich_help_panel=_FLEET)
    ] = "throughput",
    steps: Annotated[
        Path | None,
        typer.Option(help="Measured step times, instead of --gpu.", rich_help_panel=_FLEET),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, max=2048, help="Requests at once; default what fits.", rich_help_panel=_FLEET
        ),
    ] = None,
    max_queued: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_QUEUED, help="Requests that wait in an engine.", rich_help_panel=_FLEET
        ),
    ] = 64,
    prefix_cache: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_COUNT,
            help="Tokens of prompts that a replica keeps for reuse; presets keep none.",
            rich_help_panel=_FLEET,
        ),
    ] = 0,
    replicas: Annotated[
        int, typer.Option(min=1, max=100_000, help="At the start.", rich_help_panel=_FLEET)
    ] = 1,
    min_replicas: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_REPLICAS, help="Autoscaling: at least.", rich_help_panel=_FLEET
        ),
    ] = None,
    max_replicas: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_REPLICAS, help="Autoscaling: at most.", rich_help_panel=_FLEET
        ),
    ] = None,
    start_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_EVERY_S,
            help="A start, of autoscaling or after a loss; 180.",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    lost_every_hours: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=MOST_SECONDS,
            help="A replica is lost so often, on average.",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    gateways: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_GATEWAYS, help="Default as many as needed.", rich_help_panel=_GATEWAY
        ),
    ] = None,
    imbalance: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_COUNT, help="As `gemma4 gateway --imbalance`.", rich_help_panel=_GATEWAY
        ),
    ] = 8,
    max_running: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_COUNT, help="Requests at once in a gateway.", rich_help_panel=_GATEWAY
        ),
    ] = 1024,
    keys: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_COUNT, help="API keys that send equally much.", rich_help_panel=_GATEWAY
        ),
    ] = 1,
    key_running: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_COUNT,
            help="Requests at once of a key; 0: no limit.",
            rich_help_panel=_GATEWAY,
        ),
    ] = 0,
    key_requests_per_minute: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_COUNT, help="Of a key; 0: no limit.", rich_help_panel=_GATEWAY
        ),
    ] = 0,
    key_tokens_per_minute: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_COUNT, help="Of a key; 0: no limit.", rich_help_panel=_GATEWAY
        ),
    ] = 0,
    cautious: Annotated[
        bool, typer.Option("--cautious", help="Only the slow end of the estimated speed.")
    ] = False,
    sample: Annotated[
        int,
        typer.Option(
            min=1, max=MOST_COUNT, help="Requests from which on a part of the fleet is simulated."
        ),
    ] = 500_000,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The same draws the same requests.")
    ] = 0,
    catalog: Annotated[
        Path | None, typer.Option(help="Your own catalog of GPUs (`gemma4 plan catalog --yaml`).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Simulate a fleet under traffic: percentiles, goodput, GPU-hours, what gets full first.

    Speeds of --gpu are estimates, so the middle and the slow end are both simulated. Exit status: 0
    the SLOs hold, 1 they do not, 2 bad options, or SLOs that no request could keep.
    """
    try:
        from gemma4_load.errors import OptionError
        from gemma4_load.workloads.lengths import parse_length
        from gemma4_load.workloads.trace import read_trace
        from gemma4_plan.catalog import read_catalog
        from gemma4_plan.document.envelope import text_of
        from gemma4_plan.errors import BadQuestionError, PlanError
        from gemma4_plan.fleet.simulate_question import SimulateQuestion
        from gemma4_plan.fleet.simulate_table import as_json as in_json
        from gemma4_plan.fleet.simulate_table import show
        from gemma4_plan.fleet.steps import End
        from gemma4_plan.simulate import Autoscaling, Failures, Gateway, Outcome, Slos
        from gemma4_plan.simulate import simulate as run
        from gemma4_plan.simulate.measured import read_steps
        from gemma4_plan.speed.fitted import read_fitted
    except ImportError as error:
        fail_import(error, extra="build")
    start = 180.0 if start_seconds is None else start_seconds

    def seconds_of(limit: float | None) -> float | None:
        return None if limit is None else limit / 1e3

    ends: tuple[End, ...] = ("middle", "slow")
    if steps is not None or cautious:
        ends = ("middle",) if steps is not None else ("slow",)
    try:
        if start_seconds is not None and max_replicas is None and lost_every_hours is None:
            raise BadQuestionError(
                f"--start-seconds {start_seconds:g}: nothing starts without --max-replicas or "
                "--lost-every-hours; give one of them too"
            )
        if min_replicas is not None and max_replicas is None:
            raise BadQuestionError(
                f"--min-replicas {min_replicas}: needs --max-replicas; give it too"
            )
        question = SimulateQuestion(
            prompt=parse_length("--prompt-tokens", prompt_tokens),
            output=parse_length("--output-tokens", output_tokens),
            rate=rate, peak=peak, users=users, trace=() if trace is None else read_trace(trace),
            trace_speed=trace_speed, seconds=seconds, warmup=warmup,
            shared_prefixes=shared_prefixes, prefix_tokens=prefix_tokens,
            slos=Slos(
                ttft_s=seconds_of(ttft_ms), itl_s=seconds_of(itl_ms), e2e_s=seconds_of(e2e_ms),
                attainment=attainment,
            ),
            gpu=None if gpu is None else gpu.strip().lower(), precision=precision, tp=tp, ep=ep,
            preset=preset, steps=None if steps is None else read_steps(steps), slots=slots,
            max_queued=max_queued, prefix_cache=prefix_cache, replicas=replicas,
            autoscaling=None if max_replicas is None else Autoscaling(
                least=replicas if min_replicas is None else min_replicas, most=max_replicas,
                start_s=start,
            ),
            failures=None if lost_every_hours is None else Failures(
                every_s=lost_every_hours * 3600, back_s=start
            ),
            gateways=gateways,
            gateway=Gateway(
                imbalance=imbalance, max_running=max_running, keys=keys, key_running=key_running,
                requests_per_minute=key_requests_per_minute,
                tokens_per_minute=key_tokens_per_minute,
            ),
        )  # fmt: skip
        traffic, cards, fitted = question.traffic(), read_catalog(catalog), read_fitted()
        fleets = {end: question.fleet(cards, fitted, end) for end in ends}
        found: dict[str, Outcome] = {
            end: run(traffic, fleet, seed, most_requests=sample) for end, fleet in fleets.items()
        }
    except (PlanError, OptionError) as error:
        refuse("simulate", error, as_json=as_json)
    first = ends[0]
    if as_json:
        print(text_of("simulate", in_json(found)))
    else:
        show(found, traffic, fleets[first], Console())
    raise typer.Exit(0 if found[first].holds or traffic.slos == Slos() else 1)
