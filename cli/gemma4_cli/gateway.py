"""``gemma4 gateway``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from gemma4_runtime.logs.form import LogForm, set_log_form
from gemma4_runtime.processes.limits import open_files_short_of

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.help_page import Command, Group
from gemma4_cli.limits import MOST_COUNT, MOST_QUEUED, MOST_S
from gemma4_cli.log_format import HELP, chosen_form

if TYPE_CHECKING:
    from gemma4_gateway.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    help="OpenAI-compatible gateway in front of Triton servers.",
    invoke_without_command=True,
    context_settings={"auto_envvar_prefix": "GEMMA4_GATEWAY"},
)
_OWN_FILES = 64
"""Open files beside a connection for each request."""

_MOST_WORKERS = 64
"""Processes of one gateway; more are several gateways."""

_KEY_VARIABLE = "GEMMA4_GATEWAY_API_KEY"
_REDIS_VARIABLE = "GEMMA4_GATEWAY_LIMITS_REDIS"


@app.callback()
def gateway(
    context: typer.Context,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="host:port of a Triton server's gRPC service, or dns:///name:port: each address "
            "of the name is one. May be repeated."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        # Kubernetes sets GEMMA4_GATEWAY_PORT to a URL where a service is called gemma4-gateway.
        typer.Option(
            envvar="GATEWAY_PORT",
            allow_from_autoenv=False,
            min=0,
            max=65535,
            help="0: any free one.",
        ),
    ] = 8080,
    served_model_name: Annotated[
        list[str] | None,
        typer.Option(help="Name of the model; may be repeated. Default: the checkpoint's."),
    ] = None,
    api_keys_file: Annotated[
        Path | None,
        typer.Option(help=f"File made by `gemma4 gateway new-key`. {_KEY_VARIABLE} adds one key."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=MOST_S, help="Seconds for one answer.")
    ] = 600.0,
    max_running: Annotated[
        int, typer.Option(min=1, max=MOST_QUEUED, help="Requests at once.")
    ] = 1024,
    queue_length: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_COUNT,
            help="Answers of one key that may wait for a slot of a back end; 0: none waits here, "
            "and all are sent at once.",
        ),
    ] = 256,
    queue_tokens: Annotated[
        int,
        typer.Option(min=1, max=MOST_COUNT, help="Tokens that these will cost at most, estimated."),
    ] = 2_000_000,
    queue_seconds: Annotated[
        float, typer.Option(min=0.01, max=MOST_S, help="Seconds that one may wait.")
    ] = 10.0,
    max_body_mib: Annotated[
        int, typer.Option(min=1, max=MOST_COUNT, help="Size of a request.")
    ] = 4,
    key_requests_per_minute: Annotated[
        int, typer.Option(min=0, max=MOST_COUNT, help="0: no limit.")
    ] = 0,
    key_tokens_per_minute: Annotated[
        int, typer.Option(min=0, max=MOST_COUNT, help="0: no limit.")
    ] = 0,
    key_max_running: Annotated[int, typer.Option(min=0, max=MOST_COUNT, help="0: no limit.")] = 0,
    limits_redis_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the URL of a Redis by which gateways share the limits of keys; or in "
            f"{_REDIS_VARIABLE}. Default: each gateway has its own."
        ),
    ] = None,
    ssl_certfile: Annotated[
        Path | None,
        typer.Option(help="PEM file: this server's certificate, then those that issued it."),
    ] = None,
    ssl_keyfile: Annotated[
        Path | None, typer.Option(help="PEM file: its key; default: in --ssl-certfile.")
    ] = None,
    ssl_ca_certs: Annotated[
        Path | None, typer.Option(help="PEM file: authorities of the clients' certificates.")
    ] = None,
    ssl_cert_reqs: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2,
            help="Client certificates: 0 none, 1 for all but /health, 2 for all; default 2 with "
            "--ssl-ca-certs.",
        ),
    ] = None,
    backend_ssl_ca_certs: Annotated[
        Path | None,
        typer.Option(
            help="PEM file: authorities of the back ends' certificates; turns TLS to them on."
        ),
    ] = None,
    backend_ssl_certfile: Annotated[
        Path | None,
        typer.Option(help="PEM file: what is shown to back ends that ask for a certificate."),
    ] = None,
    backend_ssl_keyfile: Annotated[
        Path | None, typer.Option(help="PEM file: its key; default: in --backend-ssl-certfile.")
    ] = None,
    backend_ssl_name: Annotated[
        str | None,
        typer.Option(help="Name in the back ends' certificates; default: that of --backend."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Origin of a web page that may call; may be repeated.")
    ] = None,
    response_store: Annotated[
        Path | None,
        typer.Option(help="SQLite file that keeps responses; default: nothing is stored."),
    ] = None,
    response_store_count: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_COUNT, help="Responses in it; the oldest go first. Default: 100,000."
        ),
    ] = None,
    response_store_mib: Annotated[
        int | None, typer.Option(min=1, max=MOST_COUNT, help="Size of their texts. Default: 1,024.")
    ] = None,
    response_store_days: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=36_500, help="Days since its last use that one is kept. Default: 30."
        ),
    ] = None,
    drop_unsupported: Annotated[
        bool,
        typer.Option(
            "--drop-unsupported",
            help="Of /v1/responses: leave out tools that are no functions (web_search, ...) and "
            "text.verbosity rather than refuse them, for Codex CLI.",
        ),
    ] = False,
    grace: Annotated[
        float, typer.Option(min=0, max=MOST_S, help="Seconds that running answers get at the end.")
    ] = 30.0,
    drain_delay: Annotated[
        float, typer.Option(min=0, max=MOST_S, help="Seconds to stay up, not ready, after SIGTERM.")
    ] = 0.0,
    health_interval: Annotated[
        float, typer.Option(min=0.05, max=MOST_S, help="Seconds between two looks at a back end.")
    ] = 1.0,
    dns_interval: Annotated[
        float,
        typer.Option(min=0.1, max=MOST_S, help="Seconds between two lookups of a dns:/// name."),
    ] = 5.0,
    imbalance: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_COUNT,
            help="Requests that a back end may have more, to reuse its cache.",
        ),
    ] = 8,
    sse_keep_alive: Annotated[
        float,
        typer.Option(
            min=0,
            max=MOST_S,
            help="Seconds without an event of a stream after which a comment is sent, so that no "
            "proxy closes it; 0: none.",
        ),
    ] = 15.0,
    webui: Annotated[bool, typer.Option(help="Chat page at / for browsers.")] = True,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=_MOST_WORKERS,
            help="Processes that serve, for more than one core; one more starts them and replaces "
            "those that are lost.",
        ),
    ] = 1,
    log_format: Annotated[str, typer.Option(help=HELP)] = "auto",
) -> None:
    """Serve OpenAI's API until Ctrl-C or SIGTERM."""
    if context.invoked_subcommand is not None:
        return
    _open_standard_files()
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to stderr, and waits for a reader
    try:
        from gemma4_gateway.access_log import Log
        from gemma4_gateway.fair.limits import QueueLimits
        from gemma4_gateway.gateway import Gateway
        from gemma4_gateway.server import claim_socket, run
        from gemma4_gateway.settings import (
            KeySource,
            Limits,
            Settings,
            SettingsError,
            check_backend,
            check_backend_tls,
            check_model_names,
            check_origins,
            check_store,
            check_tls,
            check_workers,
        )
        from gemma4_gateway.shared.source import read_url
    except ImportError as error:
        fail_import(error, extra="gateway")
    form = chosen_form(log_format, sys.stderr)
    set_log_form(form)
    addresses = backend or [f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"]
    plain = os.environ.get(_KEY_VARIABLE, "").strip()
    queue = QueueLimits(queue_length, queue_tokens, queue_seconds)
    try:
        settings = Settings(
            backends=tuple(dict.fromkeys(check_backend(a) for a in addresses)),
            host=host,
            port=port,
            model_names=check_model_names(served_model_name or ()),
            keys=KeySource(api_keys_file, (plain,) if plain else ()),
            limits=Limits(
                max_body=max_body_mib * 1024 * 1024,
                max_running=max_running,
                timeout=timeout,
                key_running=key_max_running,
                key_requests_per_minute=key_requests_per_minute,
                key_tokens_per_minute=key_tokens_per_minute,
            ),
            queue=queue,
            workers=check_workers(workers, queue),
            cors_origins=check_origins(cors_origin or ()),
            grace=grace,
            drain_delay=drain_delay,
            health_interval=health_interval,
            dns_interval=dns_interval,
            imbalance=imbalance,
            sse_keep_alive=sse_keep_alive,
            drop_unsupported=drop_unsupported,
            store=check_store(
                response_store, response_store_count, response_store_mib, response_store_days
            ),
            webui=webui,
            tls=check_tls(ssl_certfile, ssl_keyfile, ssl_ca_certs, ssl_cert_reqs),
            limits_redis=read_url(
                limits_redis_file, _REDIS_VARIABLE, os.environ.get(_REDIS_VARIABLE, "")
            ),
            backend_tls=check_backend_tls(
                backend_ssl_ca_certs, backend_ssl_certfile, backend_ssl_keyfile, backend_ssl_name
            ),
        )
        problem = open_files_short_of(max_running + _OWN_FILES, f"--max-running {max_running}")
        if problem:
            raise SettingsError(f"{problem}, or lower --max-running")
        if workers > 1:
            raise typer.Exit(_supervise(settings, form))
        made = Gateway(settings, Log(form))
        run(made, claim_socket(host, port))
    except SettingsError as error:
        fail(str(error), code=2)


def _supervise(settings: Settings, form: LogForm) -> int:
    """Serve with several workers, and return the exit status."""
    from gemma4_gateway.server import claim_socket
    from gemma4_gateway.workers.supervisor import StartError, Supervisor
    from gemma4_gateway.workers.worker import serve

    listener = claim_socket(settings.host, settings.port)
    try:
        return Supervisor(settings, form, serve(settings, form, listener)).run()
    except StartError as error:
        fail(str(error), code=1)


def _open_standard_files() -> None:
    """Give those that were closed to nobody, or the first sockets would have their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


@app.command("new-key", cls=Command)
def new_key(
    name: Annotated[str, typer.Option(help="Whose key it is; shown in the log.")],
    api_keys_file: Annotated[Path, typer.Option(help="File to add its hash to.")],
) -> None:
    """Make an API key. It is printed once; the file keeps its SHA-256 only."""
    try:
        from gemma4_gateway.keys import add_key
        from gemma4_gateway.settings import SettingsError
    except ImportError as error:
        fail_import(error, extra="gateway")
    try:
        print(add_key(api_keys_file, name))
    except SettingsError as error:
        fail(str(error), code=2)
    except OSError as error:
        fail(f"--api-keys-file {api_keys_file}: {error.strerror}", code=2)
