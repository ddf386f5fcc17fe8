"""The options of ``gemma4 chat``."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from gemma4_client import Client

from gemma4_cli.chat.plain import ask_plainly, read_stdin
from gemma4_cli.chat.session import Session
from gemma4_cli.chat.terminal import Terminal
from gemma4_cli.fail import fail
from gemma4_cli.limits import MOST_COUNT, MOST_S, MOST_SEED

__all__ = ["chat"]


def chat(
    url: Annotated[
        str, typer.Option(help="host:port of the gRPC service, or http://host:port.")
    ] = "",
    once: Annotated[
        str | None, typer.Option(help="Ask this (- is stdin), print the answer, and end.")
    ] = None,
    system: Annotated[str, typer.Option(help="System message.")] = "",
    think: Annotated[bool, typer.Option(help="Let the model think first.")] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0.0, max=100, help="0: always the likeliest; default: the checkpoint's."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_COUNT, help="Longest answer; default: what the model has room for."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=MOST_SEED, help="Of the sampling: the same one, the same answer."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.001, max=MOST_S, help="Seconds for an answer.")
    ] = None,
) -> None:
    """Talk to a server in the terminal. In a pipe: the question from stdin, plain text out.

    A paste of several lines is one question, and so is all of stdin. Exit status: 0 answered or
    left, 1 no answer, 2 bad options or question, 130 stopped by Ctrl-C.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes to stderr in a form of its own
    address = url or f"127.0.0.1:{os.environ.get('GRPC_PORT', '8001')}"
    options: dict[str, Any] = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "random_seed": seed,
        "timeout": timeout,
    }
    session = Session(system=system, thinking=think)
    try:
        client = Client(address, breaker=None)
    except (ValueError, ImportError) as error:
        fail(f"--url: {error}", code=2)
    with client:
        if once is not None and once != "-":
            ask_plainly(client, session, options, once)
        elif once == "-" or not (sys.stdin.isatty() and sys.stdout.isatty()):
            ask_plainly(client, session, options, read_stdin())
        else:
            Terminal(client, session, options).loop()
