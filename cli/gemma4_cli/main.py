"""Entry point of the ``gemma4`` command."""

from __future__ import annotations

import typer

from gemma4_cli import build, chat, doctor, gateway, load, serve

app = typer.Typer(
    name="gemma4",
    help="Serve Gemma 4 26B-A4B with Triton Inference Server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("build")(build.build)
app.command("serve")(serve.serve)
app.command("chat")(chat.chat)
app.command("doctor")(doctor.doctor)
app.add_typer(gateway.app, name="gateway")
app.add_typer(load.app, name="load")
