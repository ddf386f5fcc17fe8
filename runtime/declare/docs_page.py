"""docs/reference/tensors.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.contract.nvidia import NVIDIA_INPUTS
from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import Input, SamplingOption, Tensor, Translated

from declare.regions import mark

__all__ = ["PAGE", "page"]

PAGE = "docs/reference/tensors.md"
_HEAD = f"""# Tensors of `gemma4`

<!-- {mark("page")[0]} -->

How they are used: [serving.md](../serving.md#tensors). `engine` and `gemma4_unary` have the same
inputs. Types are Triton's; shapes are `[1, 1]`, and `[1, n]` where it says so.

## Inputs

All are optional, but one of `text_input`, `prompt_token_ids` and `messages` is needed. "Checkpoint"
is its `generation_config.json`. "SDK": an option of the Python client. "Gateway": the parameter of
the OpenAI API that sets it.

"""
_THEIRS = """
## Inputs of NVIDIA's ensemble

Names that `gemma4` takes so that requests for NVIDIA's `ensemble` and `tensorrt_llm_bls` work.

"""
_OUTPUTS = """
## Outputs

A stream has them in each response, for its own piece of the answer. `output_ids` and
`output_log_probs` are left out where they have no values.

"""


def page() -> str:
    """Return the whole text."""
    ours = (tensor for tensor in INPUTS if tensor not in NVIDIA_INPUTS)
    inputs = _table(
        ("input", "type", "takes", "default", "what", "SDK", "gateway"), map(_input, ours)
    )
    theirs = _table(
        ("input", "type", "what"),
        ((f"`{tensor.name}`", _type(tensor), tensor.help) for tensor in NVIDIA_INPUTS),
    )
    outputs = _table(
        ("output", "type", "what"),
        ((f"`{tensor.name}`", _type(tensor), tensor.help) for tensor in OUTPUTS),
    )
    return f"{_HEAD}{inputs}{_THEIRS}{theirs}{_OUTPUTS}{outputs}"


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> str:
    lines: list[Sequence[str]] = [head, ["---"] * len(head), *rows]
    return "".join(f"{''.join(map(_cell, cells))}|\n" for cells in lines)


def _cell(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"| {escaped} " if text else "| "


def _input(tensor: Input) -> tuple[str, ...]:
    return (
        f"`{tensor.name}`", _type(tensor), _takes(tensor), _default(tensor), tensor.help,
        "" if tensor.sdk is None else "yes", _parameter(tensor),
    )  # fmt: skip


def _type(tensor: Tensor) -> str:
    return f"{tensor.wire_type} `[1, n]`" if tensor.many else tensor.wire_type


def _takes(tensor: Input) -> str:
    bounds = (("≥", tensor.range.least), (">", tensor.range.above), ("≤", tensor.range.most))
    return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)


def _default(tensor: Input) -> str:
    if not isinstance(tensor, SamplingOption):
        return tensor.absent
    if tensor.default is None:
        return "random"
    return f"checkpoint, {tensor.default:g}" if tensor.from_checkpoint else f"{tensor.default:g}"


def _parameter(tensor: Input) -> str:
    if tensor.gateway is None:
        return ""
    return f"`{tensor.gateway.name if isinstance(tensor.gateway, Translated) else tensor.name}`"
