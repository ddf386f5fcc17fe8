"""Names and values of NVIDIA's models, put into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.nvidia import NVIDIA_INPUTS, Alias, NoEffect
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.input.tensors import read_inputs

__all__ = ["own_names", "read_request"]

_THEIRS = {tensor.name: tensor for tensor in NVIDIA_INPUTS}
_GUIDE = ("guided_decoding_guide_type", "guided_decoding_guide")


def read_request(tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Read the inputs of ``gemma4``, under its own names. Raises INVALID_ARGUMENT."""
    return own_names(read_inputs(tensors))


def own_names(values: dict[str, Any]) -> dict[str, Any]:
    """Return ``values`` by our names. Aliases are renamed, and inputs without effect left out; an
    empty guide is none, and ``ebnf_grammar`` is a grammar. Raises INVALID_ARGUMENT for an alias
    that says another thing than our name, and for what cannot be done."""
    for name in _THEIRS.keys() & values.keys():
        tensor, value = _THEIRS[name], values.pop(name)
        if isinstance(tensor, NoEffect):
            _check_taken(tensor, value)
        else:
            _rename(tensor, value, values)
    for name in _GUIDE:
        if values.get(name) == "":
            del values[name]
    if values.get(_GUIDE[0]) == "ebnf_grammar":
        values[_GUIDE[0]] = "grammar"
    return values


def _rename(tensor: Alias, value: Any, values: dict[str, Any]) -> None:
    if values.setdefault(tensor.of, value) != value:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            tensor.name,
            f"{value} is not {values[tensor.of]}, as {tensor.of} says, which is the same option; "
            "leave one of them out",
            other=tensor.of,
        )


def _check_taken(tensor: NoEffect, value: Any) -> None:
    for item in value if isinstance(value, list) else (value,):
        if item not in ("", *tensor.taken):
            shown = str(item).lower() if isinstance(item, bool) else repr(item)
            raise invalid(Code.OPTION_UNSUPPORTED, tensor.name, f"{shown}: {tensor.instead}")
