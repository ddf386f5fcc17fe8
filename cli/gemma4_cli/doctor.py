"""``gemma4 doctor``: check whether this machine, and an engine, are in order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.limits import MOST_S

__all__ = ["doctor"]


def doctor(
    engine: Annotated[Path | None, typer.Option(help="Also check this engine folder.")] = None,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="Start the engine, on any runtime, and try everything that only a running server "
            "can show; with --report, to send the findings.",
        ),
    ] = False,
    gpu_name: Annotated[
        str | None, typer.Option(help="Show what such a GPU can run, without having one.")
    ] = None,
    gpus: Annotated[
        int, typer.Option(min=1, max=1024, help="With --gpu-name: how many of them.")
    ] = 8,
    report: Annotated[
        Path | None,
        typer.Option(
            help="Also write the findings to this file, to send to somebody: JSON with a text to "
            "read, without secrets, paths, prompts and names of this machine. It is written after "
            "every finding."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
    start_timeout: Annotated[
        float,
        typer.Option(min=1, max=MOST_S, help="With --gpu: seconds until the engine must be ready."),
    ] = 1800.0,
    budget: Annotated[
        float,
        typer.Option(
            min=30,
            max=MOST_S,
            help="With --gpu: seconds for everything, reading and loading the engine included. "
            "The report names the checks that were left out.",
        ),
    ] = 840.0,
    http_port: Annotated[
        int,
        typer.Option(
            envvar="HTTP_PORT", min=0, max=65535, help="Of HTTP: whether it is free to serve on."
        ),
    ] = 8000,
    grpc_port: Annotated[
        int,
        typer.Option(
            envvar="GRPC_PORT", min=0, max=65535, help="Of gRPC: whether it is free to serve on."
        ),
    ] = 8001,
    metrics_port: Annotated[
        int,
        typer.Option(
            envvar="METRICS_PORT",
            min=0,
            max=65535,
            help="Of metrics: whether it is free to serve on.",
        ),
    ] = 8002,
) -> None:
    """Look at driver, GPUs, memory, software, ports and an engine folder; try it with --gpu.

    Exit status: 0 nothing failed, 1 something did, 2 bad options.
    """
    try:
        from gemma4_runtime.trtllm.gpus import UnknownGpuError, find_gpu
        from gemma4_serve.doctor.examine import Questions, examine
        from gemma4_serve.doctor.report import Report, Result
        from gemma4_serve.doctor.report_file import ReportFile
        from gemma4_serve.ports import Ports
    except ImportError as error:
        fail_import(error, extra="serve")
    if gpu and engine is None:
        fail("--gpu: needs --engine FOLDER, the engine to try", code=2)
    try:
        card = None if gpu_name is None else find_gpu(gpu_name)
    except UnknownGpuError as error:
        fail(f"--gpu-name {error}; for another card, run `gemma4 doctor` on its machine", code=2)
    asked = Questions(
        engine=engine, trial=gpu, card=card, cards=gpus,
        ports=Ports(http_port, grpc_port, metrics_port),
        start_timeout=start_timeout, budget=budget,
    )  # fmt: skip

    def say(result: Result) -> None:
        typer.echo(f"{result.level:>4}  {result.name}: {result.detail}", err=True)

    file = ReportFile(report)
    found = Report(changed=file.found_more)
    try:
        examine(asked, found, say=say)
        file.end(found)
    except OSError as error:
        if report is None or error.filename != str(report):
            raise
        fail(f"--report {report}: {error.strerror}", code=2)
    if as_json:
        print(found.to_json())
    else:
        found.show(Console())
    raise typer.Exit(1 if found.failed else 0)
