"""``gemma4 plan``: what the model needs, before anything is bought or built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.help_page import Command, Group
from gemma4_cli.plan_answer import SecondOpinion, SecondOpinionSeconds, refuse
from gemma4_cli.plan_capacity import capacity
from gemma4_cli.plan_limits import LEAST, MOST_MS, MOST_RATE, MOST_USD
from gemma4_cli.plan_simulate import simulate

__all__ = ["app"]

app = typer.Typer(
    cls=Group, help="Plan memory, GPUs and cost before you buy or build.", no_args_is_help=True
)

_GPU = "Only for GPUs"
_CPU = "Only for --gpu cpu"

Gpu = Annotated[
    str | None,
    typer.Option(help="GPU of the catalog, such as h100 or b200, or cpu; default all GPUs."),
]
CatalogFile = Annotated[
    Path | None,
    typer.Option("--catalog", help="Your own catalog of GPUs (`gemma4 plan catalog --yaml`)."),
]


@app.command("memory", cls=Command)
def memory(
    gpu: Gpu = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="GPUs: bf16, fp8, nvfp4, int4. CPU: f32, bf16, int8, int4. Default all of them."
        ),
    ] = None,
    tokens: Annotated[
        str, typer.Option(help="Prompt and answer of a request; 2048,8192 shows several.")
    ] = "8192",
    slots: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2048,
            help="Requests at once; default as many as fit, on a CPU what a build takes.",
        ),
    ] = None,
    tp: Annotated[
        int | None,
        typer.Option(min=1, max=16, help="GPUs that share the model.", rich_help_panel=_GPU),
    ] = None,
    ep: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=16,
            help="Of these, GPUs that split the experts by number; 0: all.",
            rich_help_panel=_GPU,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="latency, throughput (default) or long-context.", rich_help_panel=_GPU),
    ] = None,
    quantize: Annotated[
        str | None,
        typer.Option(
            help="nvfp4: experts (default) or mlp, the dense MLPs too.", rich_help_panel=_GPU
        ),
    ] = None,
    pad_experts: Annotated[
        bool,
        typer.Option(
            "--pad-experts",
            help="Pad MLPs with zeros so that --tp divides them.",
            rich_help_panel=_GPU,
        ),
    ] = False,
    memory_gb: Annotated[
        float | None,
        typer.Option(
            min=1, max=100_000, help="Free memory of the machine, 10^9 bytes.", rich_help_panel=_CPU
        ),
    ] = None,
    catalog: CatalogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Show what a GPU holds: weights, KV cache, the rest; how many requests, and how long ones.

    Weights and KV cache are exact, the rest lies between two figures with a source. Exit status: 0
    it fits, 1 nothing of what was asked for does, 2 bad options or catalog.
    """
    try:
        from gemma4_plan.catalog import read_catalog
        from gemma4_plan.document.envelope import text_of
        from gemma4_plan.errors import PlanError
        from gemma4_plan.memory_json import as_json as in_json
        from gemma4_plan.memory_question import MemoryQuestion, answers, fits, parse_tokens
        from gemma4_plan.memory_tables import show
    except ImportError as error:
        fail_import(error, extra="build")
    try:
        question = MemoryQuestion(
            gpu=None if gpu is None else gpu.strip().lower(), precision=precision,
            tokens=parse_tokens(tokens), slots=slots, tp=tp, ep=ep, preset=preset,
            quantize=quantize, pad_experts=pad_experts, memory_gb=memory_gb,
        )  # fmt: skip
        found = answers(question, read_catalog(catalog))
    except PlanError as error:
        refuse("memory", error, as_json=as_json)
    if as_json:
        print(text_of("memory", in_json(found)))
    else:
        show(found, Console())
    raise typer.Exit(0 if any(fits(answer) for answer in found) else 1)


@app.command("fit", cls=Command)
def fit(
    prompt_tokens: Annotated[
        int, typer.Option(min=1, max=262_143, help="Prompt of a request.")
    ] = 1024,
    output_tokens: Annotated[int, typer.Option(min=1, max=262_143, help="Its answer.")] = 512,
    ttft_ms: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_MS, help="SLO: mean time to the first token."),
    ] = None,
    itl_ms: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_MS, help="SLO: mean time between two tokens."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_RATE, help="Requests/s that all copies together carry."),
    ] = None,
    gpu: Gpu = None,
    precision: Annotated[
        str | None, typer.Option(help="bf16, fp8, nvfp4 or int4; default all of them.")
    ] = None,
    usd_per_hour: Annotated[
        float | None,
        typer.Option(min=LEAST, max=MOST_USD, help="Price of one --gpu, not the catalog's."),
    ] = None,
    cautious: Annotated[
        bool, typer.Option("--cautious", help="Hold the SLOs at the bad end of the estimates.")
    ] = False,
    max_streams: Annotated[
        int, typer.Option(min=1, max=2048, help="Requests at once on one copy of the model.")
    ] = 256,
    top: Annotated[int, typer.Option(min=1, max=1000, help="Options to show.")] = 10,
    second_opinion: SecondOpinion = None,
    second_opinion_seconds: SecondOpinionSeconds = 300.0,
    catalog: CatalogFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead, of all.")] = False,
) -> None:
    """Rank GPUs, precisions and splits that hold the SLOs, the cheapest first.

    Speeds are estimates of a roofline that was fitted to published measurements of other engines;
    each is a range with the error of held-out points. Exit status: 0 an option holds, 2 bad
    options, or SLOs that none holds.
    """
    try:
        from gemma4_plan.catalog import read_catalog
        from gemma4_plan.document.envelope import text_of
        from gemma4_plan.errors import PlanError
        from gemma4_plan.options import FitQuestion, rank
        from gemma4_plan.options_table import as_json as in_json
        from gemma4_plan.options_table import show
        from gemma4_plan.second.about import opinion_of
        from gemma4_plan.second.aiconfigurator import find_program
        from gemma4_plan.speed.fitted import read_fitted
    except ImportError as error:
        fail_import(error, extra="build")
    try:
        program = None if second_opinion is None else find_program(second_opinion)
        question = FitQuestion(
            prompt=prompt_tokens, output=output_tokens, ttft_ms=ttft_ms, itl_ms=itl_ms, rate=rate,
            gpu=None if gpu is None else gpu.strip().lower(), precision=precision,
            usd_per_hour=usd_per_hour, cautious=cautious, max_streams=max_streams,
        )  # fmt: skip
        ranking = rank(question, read_catalog(catalog), read_fitted())
    except PlanError as error:
        refuse("fit", error, as_json=as_json)
    opinion = opinion_of(program, ranking.options[0], question, seconds=second_opinion_seconds)
    if as_json:
        print(text_of("fit", in_json(ranking, question, opinion)))
    else:
        show(ranking, question, Console(), top=top, opinion=opinion)


@app.command("catalog", cls=Command)
def catalog(
    file: CatalogFile = None,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the file itself, to edit a copy.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """Show the GPUs that can be planned for, and what is known of them."""
    try:
        from gemma4_plan.catalog import BUILT_IN, read_catalog
        from gemma4_plan.catalog_table import show
        from gemma4_plan.document.envelope import text_of
        from gemma4_plan.errors import PlanError
    except ImportError as error:
        fail_import(error, extra="build")
    if as_yaml and as_json:
        fail("--yaml and --json do not go together; leave one out", code=2)
    try:
        found = read_catalog(file)
    except PlanError as error:
        refuse("catalog", error, as_json=as_json)
    if as_yaml:
        print((file or BUILT_IN).read_text(encoding="utf-8"), end="")
    elif as_json:
        print(text_of("catalog", found.model_dump(mode="json")))
    else:
        show(found, Console())


app.command("capacity", cls=Command)(capacity)
app.command("simulate", cls=Command)(simulate)
