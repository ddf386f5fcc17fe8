"""A wrong value on the command line: one line that names the option, the value and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gemma4_cli.explained import explain
from gemma4_cli.fail import fail
from gemma4_cli.help_page import Group
from gemma4_cli.limits import limits

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["NamesBadValues"]

_KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
_LIMITS = ("greater_than", "less_than")


class NamesBadValues(Group):
    """The group of all commands. Typer's own message has neither the value nor a right one."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from pydantic import ValidationError

            if error.param is None or not isinstance(error.__cause__, ValidationError):
                raise
            prefix = getattr(error.ctx, "auto_envvar_prefix", None)
            fail(_explain(error.param, error.__cause__, prefix), code=2)


def _explain(param: Any, cause: ValidationError, prefix: str | None) -> str:
    wrong = cause.errors()[0]
    value, kind = wrong["input"], wrong["type"]
    allowed = limits(param)
    if kind.startswith(_LIMITS):
        wanted = allowed
    else:
        wanted = ", ".join(filter(None, (_KINDS.get(kind.partition("_")[0]), allowed)))
    return explain(param, value, wanted or wrong["msg"], prefix)
