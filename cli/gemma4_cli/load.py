"""``gemma4 load``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from gemma4_runtime.logs.form import set_log_form
from gemma4_runtime.logs.standard import take_logging
from gemma4_runtime.processes.limits import open_files_short_of

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.help_page import Command, Group
from gemma4_cli.limits import MOST_COUNT, MOST_QUEUED, MOST_S, MOST_SEED
from gemma4_cli.log_format import HELP, chosen_form

if TYPE_CHECKING:
    from gemma4_load.load_plan import Plan

__all__ = ["app"]

app = typer.Typer(cls=Group, help="Measure a server under load.", invoke_without_command=True)
_OWN_FILES = 64
"""Open files beside the connections."""


@app.callback()
def load(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            help="host:port (Triton, gRPC), http://host:port (Triton, generate_stream), or "
            "http://host:port/v1 (the gateway, or another OpenAI server). Default: gRPC on this "
            "machine, port GRPC_PORT or 8001."
        ),
    ] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="Closed loop: users at once; 1,8,32 sweeps. Default 8.")
    ] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(help="Open loop: requests/s; 1,2,4 sweeps, 1:20 is a ramp."),
    ] = None,
    arrival: Annotated[
        str, typer.Option(help="Open loop: constant, poisson or gamma.")
    ] = "poisson",
    burstiness: Annotated[
        float, typer.Option(help="Shape of gamma; 1 is Poisson, below it comes in bursts.")
    ] = 1.0,
    search: Annotated[
        str | None,
        typer.Option(help="Find the highest concurrency, or rate, that meets every --slo."),
    ] = None,
    search_from: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="Lowest load of --search.")
    ] = 1.0,
    search_to: Annotated[
        float, typer.Option(min=0.001, max=100_000, help="Highest load of --search.")
    ] = 256.0,
    search_runs: Annotated[
        int, typer.Option(min=1, max=9, help="Runs of each load, most of which must meet the SLOs.")
    ] = 1,
    attainment: Annotated[
        float, typer.Option(min=0.01, max=1.0, help="Share of requests that must meet the SLOs.")
    ] = 0.95,
    slo: Annotated[
        list[str] | None,
        typer.Option(help="Such as ttft=500ms, itl=50ms, latency=10s; may be repeated."),
    ] = None,
    workload: Annotated[str, typer.Option(help="lengths, chat, tools or structured.")] = "lengths",
    prompt_tokens: Annotated[
        str, typer.Option(help="N, uniform:LOW:HIGH, normal:MEAN:STD or lognormal:MEDIAN:SIGMA.")
    ] = "128",
    output_tokens: Annotated[str, typer.Option(help="As --prompt-tokens.")] = "64",
    system_tokens: Annotated[
        int,
        typer.Option(
            min=0, max=10_000_000, help="chat: system prompt that all conversations share."
        ),
    ] = 200,
    turns: Annotated[
        int, typer.Option(min=1, max=10_000, help="chat: user turns of a conversation.")
    ] = 4,
    cancel_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of requests that is left in the middle.")
    ] = 0.0,
    sampling: Annotated[
        list[str] | None,
        typer.Option(help="Such as temperature=0.7, of every request; may be repeated."),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Replay a JSONL trace (Mooncake's form) at its times.")
    ] = None,
    trace_speed: Annotated[
        float, typer.Option(min=0.001, max=1_000_000, help="Times faster.")
    ] = 1.0,
    duration: Annotated[
        float | None, typer.Option(min=0.1, max=MOST_S, help="Seconds of a level; default 30.")
    ] = None,
    requests: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_COUNT, help="Requests of a level, instead of --duration."),
    ] = None,
    warmup: Annotated[
        float,
        typer.Option(min=0.0, max=MOST_S, help="Seconds of every level that are not measured."),
    ] = 2.0,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_SEED, help="Of prompts and arrivals: the same one, the same load."
        ),
    ] = 0,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=MOST_S, help="Seconds for one answer.")
    ] = 120.0,
    max_in_flight: Annotated[
        int, typer.Option(min=1, max=MOST_QUEUED, help="Open loop: more than so many end the run.")
    ] = 4096,
    max_client_lag: Annotated[
        float,
        typer.Option(
            min=0.1, max=60_000, help="Milliseconds (p99) beyond which a run is not valid."
        ),
    ] = 25.0,
    model: Annotated[str, typer.Option(help="Of an OpenAI server; default: its first.")] = "",
    metrics_url: Annotated[
        str, typer.Option(help="Prometheus page to read beside, as http://127.0.0.1:8002/metrics.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder of results; default load-results/<time>.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder with files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    log_format: Annotated[str, typer.Option(help=f"Of warnings on stderr: {HELP}")] = "auto",
) -> None:
    """Send requests, and report what users would feel. Ctrl-C stops sending and keeps the results.

    Exit status: 0 done, 1 it could not run, 2 bad options, 3 a level was stopped or is not valid,
    130 interrupted.
    """
    if context.invoked_subcommand is not None:
        return
    set_log_form(chosen_form(log_format, sys.stderr))
    take_logging()
    try:
        import uvloop  # noqa: F401 - _run needs them
        from gemma4_load import session  # noqa: F401
        from gemma4_load.drive.level import Level
        from gemma4_load.errors import OptionError
        from gemma4_load.load_plan import Plan, Search, check_url, parse_levels, parse_slo
        from gemma4_load.workloads.lengths import parse_length
        from gemma4_load.workloads.sampled import parse_sampling
        from gemma4_load.workloads.spec import WorkloadSpec
    except ImportError as error:
        fail_import(error, extra="load")
    try:
        _check_options(
            {"--concurrency": concurrency, "--rate": rate, "--trace": trace, "--search": search},
            {"--duration": duration, "--requests": requests},
        )
        _refuse_idle(context)
        if search is not None and search not in ("concurrency", "rate"):
            raise OptionError(f"--search {search}: use concurrency or rate")
        if search is not None and not slo:
            raise OptionError("--search needs at least one --slo, such as --slo ttft=500ms")
        if search_from > search_to:
            raise OptionError(f"--search-from {search_from}: must be at most --search-to")
        seconds = duration or (None if requests or trace else 30.0)
        base = Level(
            arrival=arrival, burstiness=burstiness, warmup=0.0 if trace else warmup,
            seconds=seconds, requests=requests, seed=seed, max_in_flight=max_in_flight,
        )  # fmt: skip
        if trace is not None:
            levels: tuple[Level, ...] = (base,)
        else:
            closed = concurrency if rate else concurrency or "8"
            levels = parse_levels(base, closed, rate or ())
        plan = Plan(
            url=check_url("--url", url or f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"),
            out=out or Path("load-results") / datetime.now().strftime("%Y%m%d-%H%M%S"),
            base=base,
            levels=levels,
            search=Search(search, search_from, search_to, attainment, search_runs)
            if search
            else None,
            workload=WorkloadSpec(
                workload, parse_length("--prompt-tokens", prompt_tokens),
                parse_length("--output-tokens", output_tokens), system_tokens, turns,
                cancel_share, trace, trace_speed, parse_sampling(sampling or ()),
            ),
            slos=tuple(parse_slo(text) for text in slo or ()),
            model=model, metrics_url=check_url("--metrics-url", metrics_url or ""), timeout=timeout,
            max_client_lag=max_client_lag / 1000, force=force,
        )  # fmt: skip
        _check_open_files(plan)
        report = _run(plan, quiet=as_json)
    except OptionError as error:
        fail(str(error), code=2)
    if as_json:
        print(json.dumps(report))
    elif report.get("search"):
        found = report["search"]
        print(f"highest {found['over']} that meets the SLOs: {found['highest'] or 'none'}")
    print(f"results: {plan.out}/report.html, report.json, requests.csv", file=sys.stderr)
    print(_verdict(report["levels"]), file=sys.stderr)
    stopped = [level["stopped"] for level in report["levels"] if level["stopped"]]
    if any(why.startswith("interrupted") for why in stopped):
        raise typer.Exit(130)
    if stopped or not all(level["valid"] for level in report["levels"]):
        raise typer.Exit(3)


def _verdict(levels: list[dict[str, Any]]) -> str:
    """Say in a line whether the figures can be used."""
    bad = [level for level in levels if not level["valid"]]
    if not levels:
        return "verdict: nothing was measured"
    if not bad:
        failed = sum(level["counts"]["failed"] for level in levels)
        return f"verdict: valid, {len(levels)} of {len(levels)} levels; {failed} requests failed"
    why = [*bad[0]["invalid_reasons"], *([bad[0]["stopped"]] if bad[0]["stopped"] else [])]
    return f"verdict: NOT VALID, {len(bad)} of {len(levels)} levels; {bad[0]['label']}: {why[0]}"


def _check_open_files(plan: Plan) -> None:
    """Check the limit of open files: over HTTP each request has a connection; over gRPC they share
    some."""
    from gemma4_load.errors import OptionError

    highest = plan.search.limit if plan.search and plan.search.over == "concurrency" else 0
    closed = max((level.concurrency or 0 for level in plan.levels), default=0)
    at_once = int(max(highest, closed)) if plan.url.startswith("http") else 0
    what = f"--concurrency {at_once}" if at_once else "this command"
    problem = open_files_short_of(at_once + _OWN_FILES, what)
    if problem:
        raise OptionError(problem + (", or lower --concurrency" if at_once else ""))


def _check_options(*exclusive: dict[str, Any]) -> None:
    """Check that at most one option of each set is given."""
    from gemma4_load.errors import OptionError

    for options in exclusive:
        named = [name for name, value in options.items() if value]
        if len(named) > 1:
            raise OptionError(f"{named[0]} and {named[1]} do not go together; leave one out")


def _refuse_idle(context: typer.Context) -> None:
    """Refuse an option that was given and would change nothing."""
    from gemma4_load.errors import OptionError

    given = {name for name in context.params if _typed(context, name)}
    values = context.params
    open_loop = bool(values["rate"]) or values["search"] == "rate"
    sized = values["trace"] is None and values["workload"] in ("lengths", "chat")
    chat = values["trace"] is None and values["workload"] == "chat"
    idle = (
        (("arrival",), open_loop, "--rate or --search rate"),
        (("burstiness",), open_loop and values["arrival"] == "gamma", "--arrival gamma"),
        (("max_in_flight",), open_loop or values["trace"] is not None, "--rate or --trace"),
        (
            ("search_from", "search_to", "search_runs", "attainment"),
            values["search"] is not None,
            "--search",
        ),
        (("trace_speed",), values["trace"] is not None, "--trace"),
        (("warmup", "workload", "cancel_share"), values["trace"] is None, "a run without --trace"),
        (("prompt_tokens", "output_tokens"), sized, "--workload lengths or chat"),
        (("system_tokens", "turns"), chat, "--workload chat"),
    )
    for names, used, where in idle:
        for name in names:
            if name in given and not used:
                option = name.replace("_", "-")
                raise OptionError(f"--{option} {values[name]}: is for {where} only; leave it out")
    ramp = any(":" in text for text in values["rate"] or ())
    if ramp and values["requests"]:
        raise OptionError("--requests: a ramp has its --duration instead")


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _run(plan: Plan, *, quiet: bool) -> dict[str, Any]:
    """Run until it is done, or Ctrl-C. A second Ctrl-C ends at once."""
    import uvloop
    from gemma4_load.errors import LoadError, OptionError
    from gemma4_load.report.terminal import Terminal
    from gemma4_load.session import Session

    terminal = Terminal(quiet=quiet)
    session = Session(plan, watch=terminal.watch, told=terminal.level)

    async def go() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(session.run())

        def interrupted() -> None:
            loop.remove_signal_handler(signal.SIGINT)
            if not session.stop("interrupted; waiting for the requests under way"):
                running.cancel()

        loop.add_signal_handler(signal.SIGINT, interrupted)
        return await running

    try:
        return uvloop.run(go())
    except OptionError:
        raise
    except asyncio.CancelledError:
        fail("interrupted before the first request", code=130)
    except LoadError as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        fail(f"interrupted; the requests so far are in {plan.out}/requests.csv", code=130)


@app.command("compare", cls=Command)
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of results: the baseline.")],
    b: Annotated[Path, typer.Argument(help="Folder of results to judge.")],
    threshold: Annotated[
        float, typer.Option(min=0.0, max=10_000, help="Percent by which B may be worse.")
    ] = 5.0,
    any_workload: Annotated[
        bool, typer.Option("--any-workload", help="Compare although they asked different things.")
    ] = False,
) -> None:
    """Compare two runs level by level. Exit status: 0 not worse, 1 worse, 2 cannot compare.

    B is worse in a metric when its whole 95 % confidence interval lies beyond the threshold.
    """
    try:
        from gemma4_load.errors import OptionError
        from gemma4_load.report.compare import compare as compared
        from gemma4_load.report.terminal import Terminal
    except ImportError as error:
        fail_import(error, extra="load")
    try:
        found = compared(a, b, threshold=threshold / 100, any_workload=any_workload)
    except OptionError as error:
        fail(str(error), code=2)
    Terminal().differences(found)
    worse = [item for item in found if item.verdict == "worse"]
    print(f"{len(worse)} of {len(found)} figures are worse by more than {threshold:g} %")
    raise typer.Exit(1 if worse else 0)
