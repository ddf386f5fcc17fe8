"""What the commands of ``gemma4 plan`` have in common: how they refuse, and who else is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gemma4_cli.fail import fail

if TYPE_CHECKING:
    from gemma4_plan.document.envelope import Command

__all__ = ["SecondOpinion", "SecondOpinionSeconds", "refuse"]

SecondOpinion = Annotated[
    str | None,
    typer.Option(
        metavar="PROGRAM",
        help="aiconfigurator, NVIDIA's, or the path of its program: show what it predicts too.",
    ),
]
SecondOpinionSeconds = Annotated[
    float, typer.Option(min=1, max=86_400, help="How long that may take.")
]


def refuse(command: Command, error: Exception, *, as_json: bool) -> NoReturn:
    """End the command with the error on stderr and, with ``--json``, as the document."""
    if as_json:
        from gemma4_plan.document.envelope import text_of

        print(text_of(command, None, error=str(error)))
    fail(str(error), code=2)
