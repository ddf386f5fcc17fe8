"""``gemma4 template``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from gemma4_cli.fail import fail, fail_import

__all__ = ["template"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def template(
    engine: Annotated[Path, typer.Argument(help="Engine folder made by `gemma4 build`.")],
    file: Annotated[
        Path | None, typer.Argument(help="The new chat template, a Jinja file.")
    ] = None,
    restore: Annotated[
        bool, typer.Option("--restore", help="Bring back the template that was replaced last.")
    ] = False,
) -> None:
    """Replace the chat template of an engine folder, and show what that changes in sample chats.

    The new one is checked as a build checks it. The folder holds the old template or the new one at
    every moment. Running servers keep theirs until they start again.

    Exit status: 0 done, or the folder had it already; 1 refused and nothing changed; 2 bad options.
    """
    try:
        from gemma4_runtime.input.template_check import TemplateError
        from gemma4_runtime.input.template_swap import (
            TemplateSwapError,
            replace_template,
            restore_template,
        )
        from gemma4_runtime.manifest import EngineFolderError
    except ImportError as error:
        fail_import(error, extra="serve")
    if restore == (file is not None):
        fail("give the new template's FILE, or --restore", code=2)
    try:
        done = restore_template(engine) if file is None else replace_template(engine, file)
    except (EngineFolderError, TemplateError, TemplateSwapError) as error:
        fail(str(error), code=1)
    if not done.changed:
        print(f"{engine}: has this chat template already")
        return
    console = Console(soft_wrap=True, highlight=False)
    for line in done.differences.splitlines():
        console.print(Text(line, style=_COLOURS.get(line[:1], "")))
    if not done.differences:
        console.print(Text("The sample chats are rendered as before."))
    console.print(Text(f"{engine}: the chat template was replaced."))
    if done.former is not None:
        console.print(
            Text(f"The former one is {done.former.name} there; --restore brings it back.")
        )
    console.print(Text("Running servers keep theirs until they start again."))
