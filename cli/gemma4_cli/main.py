"""Entry point of the ``gemma4`` command."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from gemma4_cli import build, chat, doctor, dynamo_worker, gateway, load, plan, serve, template
from gemma4_cli.bad_value import NamesBadValues
from gemma4_cli.guard import guarded
from gemma4_cli.help_page import Command

_DISTRIBUTION = "gemma4-triton"


class _Gemma4(typer.Typer):
    """Ends the process with one line where Python would print a traceback."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise SystemExit(guarded(lambda: super(_Gemma4, self).__call__(*args, **kwargs)))


app = _Gemma4(
    name="gemma4",
    cls=NamesBadValues,
    help="Serve Gemma 4 26B-A4B with Triton Inference Server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},  # of the commands too
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"gemma4 {version(_DISTRIBUTION)}")
    except PackageNotFoundError:
        typer.echo(f"gemma4, not installed: {_DISTRIBUTION} is no package of this Python", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Serve Gemma 4 26B-A4B with Triton Inference Server."""


app.command("build", cls=Command)(build.build)
app.command("serve", cls=Command, context_settings={"auto_envvar_prefix": "GEMMA4_SERVE"})(
    serve.serve
)
app.command("template", cls=Command)(template.template)
app.command("chat", cls=Command)(chat.chat)
app.command("doctor", cls=Command)(doctor.doctor)
app.add_typer(gateway.app, name="gateway")
app.add_typer(load.app, name="load")
app.add_typer(plan.app, name="plan")
app.command("dynamo-worker", cls=Command)(dynamo_worker.dynamo_worker)
