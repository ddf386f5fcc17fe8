"""The line that names an option, its value, and a value that would do."""

from __future__ import annotations

import math
import os
from typing import Any

from gemma4_cli.fail import fail
from gemma4_cli.limits import limits

__all__ = ["check_finite", "explain"]


def explain(param: Any, value: object, wanted: str, prefix: str | None) -> str:
    """Return why ``value`` does not do for an option; ``prefix`` is that of its variable."""
    option = max(param.opts, key=len)
    variables = [param.envvar, f"{prefix}_{str(param.name).upper()}" if prefix else None]
    text = str(value).lower()
    given = [v for v in variables if isinstance(v, str) and os.environ.get(v, "").lower() == text]
    source = f" (variable {given[0]})" if given else ""
    default = param.default
    example = f", such as {default}, the default" if isinstance(default, int | float) else ""
    return f"{option} {value}{source}: must be {wanted}{example}"


def check_finite(command: Any, ctx: Any) -> None:
    """End the command for an option that is nan or infinite: no limit of a range refuses nan."""
    for param in command.params:
        value = ctx.params.get(param.name)
        if isinstance(value, float) and not math.isfinite(value):
            wanted = ", ".join(filter(None, ("a finite number", limits(param))))
            fail(explain(param, value, wanted, ctx.auto_envvar_prefix), code=2)
