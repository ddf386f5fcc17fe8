"""``gemma4 serve``."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.limits import MOST_COUNT, MOST_QUEUED, MOST_S, MOST_SLOTS, MOST_THREADS
from gemma4_cli.log_format import HELP, chosen_form

__all__ = ["serve"]


def serve(
    engine: Annotated[Path, typer.Option(help="Engine folder made by `gemma4 build`.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    http_port: Annotated[
        int,
        typer.Option(
            envvar="HTTP_PORT", min=0, max=65535, help="Of Triton's HTTP; 0: any free one."
        ),
    ] = 8000,
    grpc_port: Annotated[
        int,
        typer.Option(
            envvar="GRPC_PORT",
            min=0,
            max=65535,
            help="Of its gRPC, for `gemma4 chat` and the gateway; 0: any free one.",
        ),
    ] = 8001,
    metrics_port: Annotated[
        int,
        typer.Option(
            envvar="METRICS_PORT",
            min=0,
            max=65535,
            help="Of its metrics, for Prometheus; 0: any free one.",
        ),
    ] = 8002,
    health_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Also answer /health/live and /health/ready on this port, with the reason, the "
            "quality gate included; 0: any free one.",
        ),
    ] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, max=MOST_SLOTS, help="Requests that run at once.")
    ] = None,
    max_queued: Annotated[
        int | None, typer.Option(min=0, max=MOST_QUEUED, help="Requests that wait.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_THREADS, help="Compute threads.")
    ] = None,
    gpu_device_ids: Annotated[
        str | None,
        typer.Option(
            help="TensorRT-LLM: GPUs of each copy of the model, such as 0,1;2,3 for two copies."
        ),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, max=MOST_S, help="Seconds that running answers get at the end.")
    ] = 30.0,
    start_timeout: Annotated[
        float, typer.Option(min=1, max=MOST_S, help="Seconds until it must be ready.")
    ] = 600.0,
    restarts: Annotated[
        int,
        typer.Option(min=0, max=MOST_COUNT, help="Restarts of a lost server in --restart-window."),
    ] = 3,
    restart_window: Annotated[
        float, typer.Option(min=1, max=MOST_S, help="Seconds; older losses do not count.")
    ] = 300.0,
    quality_gate: Annotated[
        str,
        typer.Option(
            help="Replay recorded prompts when idle: off, report, or enforce (refuse requests "
            "while it fails)."
        ),
    ] = "report",
    quality_gate_interval: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MOST_S,
            help="Seconds over which its prompts are spread; 0: at the start only. Default: 50, or "
            "as many as keep it below 0.5 % of the engine's time.",
        ),
    ] = None,
    log_format: Annotated[str, typer.Option(help=HELP)] = "auto",
    run_dir: Annotated[
        Path | None, typer.Option(help="Folder for status board and control socket.")
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            help="Serve the model gemma4 under this name too, such as ensemble; may be repeated."
        ),
    ] = None,
    nvidia_ensemble: Annotated[
        bool,
        typer.Option(
            "--nvidia-ensemble",
            help="Serve NVIDIA's models ensemble and tensorrt_llm_bls too, with their tensors, for "
            "clients written for them.",
        ),
    ] = False,
    allow_remote_embedded_triton: Annotated[
        bool,
        typer.Option(
            "--allow-remote-embedded-triton",
            help="Let other machines reach the embedded Triton, which one request can end.",
        ),
    ] = False,
    inspection: Annotated[
        bool | None,
        typer.Option(
            help="Let clients read the models' configuration and statistics, as perf_analyzer "
            "does. Default: only where --host is this machine's own.",
        ),
    ] = None,
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: certificate of Triton's gRPC, then those that issued it. HTTP, for "
            "which Triton has no TLS, listens on 127.0.0.1 then."
        ),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option(help="PEM file: its key; default: in --ssl-certfile.")
    ] = None,
    ssl_ca_certs: Annotated[
        Path | None,
        typer.Option(help="PEM file: authorities of the certificates that clients must show."),
    ] = None,
    verbose: Annotated[bool, typer.Option(help="Show Triton's own start-up lines too.")] = False,
) -> None:
    """Start the server and keep it running until Ctrl-C, SIGTERM or SIGHUP.

    Exit status: 0 stopped and all answers finished, 1 no start or lost too often, 2 wrong options,
    3 stopped and answers were cut off, 131 ended by SIGQUIT."""
    try:
        from gemma4_runtime.engine_folder import load_engine_folder
        from gemma4_runtime.logs.form import set_log_form
        from gemma4_runtime.logs.standard import take_logging
        from gemma4_runtime.manifest import EngineFolderError
        from gemma4_runtime.settings import QUALITY_GATE_MODES
        from gemma4_serve.aliases import check_aliases
        from gemma4_serve.errors import ServeError
        from gemma4_serve.install import find_overlay, find_repository
        from gemma4_serve.logs import LogPump
        from gemma4_serve.ports import Ports, claim_ports
        from gemma4_serve.process import HTTP_BESIDE_TLS, ServerOptions
        from gemma4_serve.process_checks import prepare
        from gemma4_serve.restarts import RestartPolicy
        from gemma4_serve.run_folder import lock_run_dir, private_run_dir, sweep
        from gemma4_serve.runtime_checks import check_runtime
        from gemma4_serve.supervisor import Supervisor
        from gemma4_serve.tls import check_tls
    except ImportError as error:
        fail_import(error, extra="serve")
    form = chosen_form(log_format, sys.stderr)
    if quality_gate not in QUALITY_GATE_MODES:
        fail(f"--quality-gate {quality_gate}: use {', '.join(QUALITY_GATE_MODES)}", code=2)
    if quality_gate_interval is not None and not math.isfinite(quality_gate_interval):
        fail(f"--quality-gate-interval {quality_gate_interval}: use a number of seconds", code=2)
    set_log_form(form)
    take_logging()
    try:
        with ExitStack() as stack:
            folder = load_engine_folder(engine, verify_hashes=True, slots=slots)
            prepare(run_dir, folder.manifest)
            repository = find_repository()
            overlay = find_overlay() if nvidia_ensemble else None
            tls = check_tls(ssl_certfile, ssl_keyfile, ssl_ca_certs)
            check_aliases(alias or (), [repository, *([overlay] if overlay else ())])
            sweep()
            own_dir = run_dir or stack.enter_context(private_run_dir())
            stack.enter_context(lock_run_dir(own_dir))
            options = ServerOptions(
                engine=folder.path.resolve(),
                repository=repository,
                run_dir=own_dir.resolve(),
                host=host,
                ports=claim_ports(
                    host,
                    Ports(http_port, grpc_port, metrics_port, health_port),
                    http_host="" if tls is None else HTTP_BESIDE_TLS,
                ),
                threads=threads,
                slots=slots,
                max_queued=max_queued,
                gpu_device_ids=gpu_device_ids,
                grace=grace,
                quality_gate=quality_gate,
                quality_gate_interval=quality_gate_interval,
                allow_remote_embedded=allow_remote_embedded_triton,
                inspection=inspection,
                tls=tls,
                aliases=tuple(alias or ()),
                overlay=overlay,
            )
            check_runtime(options, folder.manifest)
            code = Supervisor(
                options,
                folder.manifest,
                LogPump(form, verbose=verbose),
                start_timeout=start_timeout,
                restarts=RestartPolicy(restarts, window=restart_window),
            ).run()
    except (EngineFolderError, ServeError) as error:
        fail(str(error), code=1)
    except KeyboardInterrupt:
        fail("stopped before the server was started", code=130)
    raise typer.Exit(code)
