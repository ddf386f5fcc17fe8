"""The parts of Python modules that type checkers and editors must see as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from gemma4_runtime.contract.inputs import INPUTS, SAMPLING
from gemma4_runtime.contract.tensors import Input, PassedOn, SamplingOption

from declare.regions import Region

__all__ = ["regions"]

_WIDTH = 96
"""Characters of a line of a docstring, behind an indentation of four."""
_KINDS = {
    "STRING": "str", "BOOL": "bool", "INT32": "int", "INT64": "int", "UINT64": "int",
    "FP32": "float",
}  # fmt: skip


def regions() -> Iterator[Region]:
    """Fields of a request's sampling, options of the SDK, parameters of the gateway."""
    yield Region(
        "runtime/gemma4_runtime/messages.py",
        "sampling options",
        tuple(_field(option) for option in SAMPLING),
    )
    yield Region("clients/gemma4_client/options.py", "options", tuple(_options()))
    yield Region(
        "clients/gemma4_gateway/schemas/base.py",
        "options that are passed on",
        tuple(
            f'{tensor.name}: {_KINDS[tensor.dtype]} | None = declared("{tensor.name}")'
            for tensor in INPUTS
            if isinstance(tensor.gateway, PassedOn)
        ),
    )


def _field(option: SamplingOption) -> str:
    kind = _KINDS[option.dtype]
    if option.default is None:
        return f"{option.param}: {kind} | None = None"
    default = int(option.default) if option.whole else float(option.default)
    return f"{option.param}: {kind} = {default!r}"


def _options() -> Iterator[str]:
    for tensor in INPUTS:
        if tensor.sdk is not None:
            yield f"{tensor.name}: {_type(tensor)}{' | None' if tensor.sdk.none else ''}"
            help_text = tensor.sdk.help or tensor.help.replace("`", "``")
            yield from textwrap.wrap(f'"""{help_text}"""', _WIDTH)


def _type(tensor: Input) -> str:
    if tensor.sdk is not None and tensor.sdk.kind:
        return tensor.sdk.kind
    kind = _KINDS[tensor.dtype]
    return f"Sequence[{kind}] | {kind}" if tensor.many else kind
