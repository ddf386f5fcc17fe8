"""``gemma4 plan capacity``: the cheapest fleet that holds SLOs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gemma4_cli.fail import fail_import
from gemma4_cli.limits import MOST_SEED
from gemma4_cli.plan_answer import SecondOpinion, SecondOpinionSeconds, refuse
from gemma4_cli.plan_limits import (
    LEAST,
    MOST_EVERY_S,
    MOST_GPUS,
    MOST_MS,
    MOST_PEAK,
    MOST_RATE,
    MOST_TIMES,
    MOST_USD,
    MOST_USERS,
)

__all__ = ["capacity"]

_LOAD = "What comes in"
_SLO = "What has to hold"
_FLEET = "The fleet"


def capacity(
    rate: Annotated[
        float | None,
        typer.Option(
            min=LEAST, max=MOST_RATE, help="Requests/s, the mean of a day.", rich_help_panel=_LOAD
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_USERS,
            help="Instead: people who are active at the busiest time.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option(
            min=LEAST,
            max=MOST_EVERY_S,
            help="Seconds between two questions of a user; default 60.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            help="Instead: JSON lines, as `gemma4 load --trace` takes them.", rich_help_panel=_LOAD
        ),
    ] = None,
    trace_speed: Annotated[
        float,
        typer.Option(
            min=LEAST, max=MOST_TIMES, help="Replay so many times faster.", rich_help_panel=_LOAD
        ),
    ] = 1.0,
    peak: Annotated[
        float,
        typer.Option(
            min=1,
            max=MOST_PEAK,
            help="Busiest minute of the day against the mean.",
            rich_help_panel=_LOAD,
        ),
    ] = 1.0,
    prompt_tokens: Annotated[
        str,
        typer.Option(
            help="N, uniform:LOW:HIGH, normal:MEAN:STD or lognormal:MEDIAN:SIGMA.",
            rich_help_panel=_LOAD,
        ),
    ] = "1024",
    output_tokens: Annotated[
        str, typer.Option(help="The same, of answers.", rich_help_panel=_LOAD)
    ] = "512",
    ttft_ms: Annotated[
        float | None,
        typer.Option(
            min=LEAST, max=MOST_MS, help="p95 of the time to the first token.", rich_help_panel=_SLO
        ),
    ] = None,
    itl_ms: Annotated[
        float | None,
        typer.Option(
            min=LEAST, max=MOST_MS, help="p95 of the time between two tokens.", rich_help_panel=_SLO
        ),
    ] = None,
    cautious: Annotated[
        bool,
        typer.Option(
            "--cautious", help="At the slow end of the estimated speed.", rich_help_panel=_SLO
        ),
    ] = False,
    spare: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Copies more than needed.", rich_help_panel=_FLEET),
    ] = 1,
    max_gpus: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_GPUS, help="GPUs that there are.", rich_help_panel=_FLEET),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="GPU of the catalog, such as h200; default all.", rich_help_panel=_FLEET),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(help="bf16, fp8, nvfp4 or int4; default all.", rich_help_panel=_FLEET),
    ] = None,
    experimental: Annotated[
        bool,
        typer.Option(
            "--experimental", help="Also what is not sure to run.", rich_help_panel=_FLEET
        ),
    ] = False,
    usd_per_hour: Annotated[
        float | None,
        typer.Option(
            min=LEAST,
            max=MOST_USD,
            help="Price of one --gpu, not the catalog's.",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    max_streams: Annotated[
        int,
        typer.Option(min=1, max=2048, help="Requests at once on a copy.", rich_help_panel=_FLEET),
    ] = 256,
    catalog: Annotated[
        Path | None, typer.Option(help="Your own catalog of GPUs (`gemma4 plan catalog --yaml`).")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="The same draws the same requests.")
    ] = 0,
    second_opinion: SecondOpinion = None,
    second_opinion_seconds: SecondOpinionSeconds = 300.0,
    report: Annotated[
        Path | None, typer.Option(help="Also write this HTML file: charts, options, commands.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Find the cheapest fleet that holds p95 SLOs at the busiest time, and one copy more.

    Fleets are simulated, with speeds that are estimates: `gemma4 plan fit` explains them. Exit
    status: 0 found, 2 bad options, or SLOs that no fleet holds; then the answer names what would.
    """
    try:
        from gemma4_load.errors import OptionError
        from gemma4_load.workloads.lengths import parse_length
        from gemma4_load.workloads.trace import read_trace
        from gemma4_plan.catalog import read_catalog
        from gemma4_plan.document.envelope import text_of
        from gemma4_plan.errors import PlanError
        from gemma4_plan.fleet.answer import answer
        from gemma4_plan.fleet.in_json import as_json as in_json
        from gemma4_plan.fleet.question import CapacityQuestion
        from gemma4_plan.fleet.shown import show
        from gemma4_plan.report.write import check_report, write_report
        from gemma4_plan.second.about import opinion_of
        from gemma4_plan.second.aiconfigurator import find_program
        from gemma4_plan.speed.fitted import read_fitted
    except ImportError as error:
        fail_import(error, extra="build")
    said = Console(stderr=True)
    try:
        check_report(report)
        program = None if second_opinion is None else find_program(second_opinion)
        question = CapacityQuestion(
            prompt=parse_length("--prompt-tokens", prompt_tokens),
            output=parse_length("--output-tokens", output_tokens),
            rate=rate, users=users, every=every, trace=() if trace is None else read_trace(trace),
            trace_speed=trace_speed, peak=peak, ttft_ms=ttft_ms, itl_ms=itl_ms,
            cautious=cautious, spare=spare, max_gpus=max_gpus,
            gpu=None if gpu is None else gpu.strip().lower(), precision=precision,
            experimental=experimental, usd_per_hour=usd_per_hour, max_streams=max_streams,
            seed=seed, catalog="" if catalog is None else str(catalog),
        )  # fmt: skip
        cards, fitted = read_catalog(catalog), read_fitted()
        with said.status("simulating") if sys.stderr.isatty() else nullcontext() as status:
            tick: Callable[[str], None] = status.update if status else lambda _: None
            found = answer(question, cards, fitted, tick)
            tick("a second opinion")
            opinion = opinion_of(
                program, found.best.option, question.fit(), seconds=second_opinion_seconds
            )
            if report is not None:
                write_report(report, found, fitted, tick, opinion)
    except (PlanError, OptionError) as error:
        refuse("capacity", error, as_json=as_json)
    if as_json:
        print(text_of("capacity", in_json(found, opinion)))
    else:
        show(found, Console(), opinion)
        if report is not None:
            print(f"report: {report}")
