"""``gemma4 dynamo-worker``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from gemma4_cli.fail import fail, fail_import
from gemma4_cli.limits import MOST_S

__all__ = ["dynamo_worker"]


def dynamo_worker(
    engine: Annotated[
        Path,
        typer.Option(help="Engine folder that the servers serve; Dynamo reads its tokenizer."),
    ],
    server: Annotated[
        list[str] | None,
        typer.Option(help="host:port of a Triton server's gRPC service. May be repeated."),
    ] = None,
    served_model_name: Annotated[
        str, typer.Option(help="Name of the model. Default: the checkpoint's.")
    ] = "",
    endpoint: Annotated[
        str,
        typer.Option(
            help="NAMESPACE.COMPONENT.ENDPOINT in Dynamo. Default: backend.generate in "
            "DYN_NAMESPACE, else in dynamo."
        ),
    ] = "",
    discovery_backend: Annotated[
        str, typer.Option(envvar="DYN_DISCOVERY_BACKEND", help="etcd, kubernetes, file or mem.")
    ] = "etcd",
    request_plane: Annotated[
        str, typer.Option(envvar="DYN_REQUEST_PLANE", help="tcp or nats.")
    ] = "tcp",
    event_plane: Annotated[
        str, typer.Option(envvar="DYN_EVENT_PLANE", help="zmq or nats.")
    ] = "zmq",
    input: Annotated[
        str,
        typer.Option(
            help="tokens: Dynamo renders, tokenizes and reads tool calls. text: this worker does, "
            "as the gateway; no answer survives the worker then."
        ),
    ] = "tokens",
    drain_delay: Annotated[
        float,
        typer.Option(
            min=0,
            max=MOST_S,
            help="Seconds to take requests after leaving discovery, for frontends to notice.",
        ),
    ] = 2.0,
    grace: Annotated[
        float, typer.Option(min=0, max=MOST_S, help="Seconds that running answers get at the end.")
    ] = 30.0,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=MOST_S, help="Seconds for one answer.")
    ] = 600.0,
    health_interval: Annotated[
        float,
        typer.Option(min=0.05, max=MOST_S, help="Seconds between two looks at a server."),
    ] = 1.0,
    card_folder: Annotated[
        Path,
        typer.Option(
            help="Folder for copies of tokenizer, template and configuration, which Dynamo reads. "
            "It must have the same path for all workers of a model."
        ),
    ] = Path("/tmp/gemma4-dynamo"),
) -> None:
    """Serve as a worker of NVIDIA Dynamo, in front of Triton servers, until Ctrl-C or SIGTERM."""
    from gemma4_dynamo.options import OptionsError, WorkerOptions, default_endpoint

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    addresses = server or [f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"]
    try:
        options = WorkerOptions(
            engine=engine,
            servers=tuple(dict.fromkeys(addresses)),
            name=served_model_name,
            endpoint=endpoint or default_endpoint(os.environ),
            discovery=discovery_backend,
            request_plane=request_plane,
            event_plane=event_plane,
            drain_delay=drain_delay,
            grace=grace,
            timeout=timeout,
            health_interval=health_interval,
            cards=card_folder,
            input=input,
        )
        try:
            from gemma4_dynamo.worker import run
        except ImportError as error:
            fail_import(error, extra="dynamo")
        run(options)
    except OptionsError as error:
        fail(str(error), code=2)
