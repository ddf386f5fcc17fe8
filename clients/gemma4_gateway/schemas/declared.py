"""Parameters that have the name, the range and the meaning of an input of the model."""

from __future__ import annotations

from typing import Any

from gemma4_runtime.contract.inputs import INPUT, INPUTS
from gemma4_runtime.contract.tensors import PassedOn
from pydantic import Field

__all__ = ["PASSED_ON", "declared", "help_of"]

PASSED_ON = tuple(tensor.name for tensor in INPUTS if isinstance(tensor.gateway, PassedOn))
"""Names of the parameters of /v1/chat/completions and /v1/completions that become the input of the
same name unchanged."""


def declared(name: str, *, beside: str = "") -> Any:
    """Make the field of the parameter ``name``, which may be left out. Its range and description
    are those of the input, the description after the sentence ``beside``."""
    tensor = INPUT[name]
    allowed = tensor.range
    below = None
    if allowed.most is None and tensor.dtype not in ("FP32", "BOOL"):
        below = tensor.bounds[1] + 1
    return Field(
        None,
        ge=allowed.least,
        gt=allowed.above,
        le=allowed.most,
        lt=below,
        description=f"{beside} {help_of(name)}".lstrip(),
    )


def help_of(name: str) -> str:
    """Return what the input ``name`` does, in the words of its description."""
    return INPUT[name].help.replace("`", "")
