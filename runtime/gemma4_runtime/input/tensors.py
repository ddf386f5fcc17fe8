"""The inputs of ``gemma4`` and how each becomes a Python value, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from gemma4_runtime.errors import Code, invalid

__all__ = ["INPUTS", "InputSpec", "read_inputs"]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input tensor. ``dtype`` is Triton's name; ``many`` allows [1, n] instead of [1, 1], with
    n up to ``most``."""

    name: str
    dtype: str
    many: bool = False
    most: int = 4096


_MOST_BYTES = 2**21
"""Of one string, before anything reads it; most inputs have lower limits of their own."""

INPUTS = tuple(
    InputSpec(name, dtype, many)
    for name, dtype, many in (
        ("text_input", "STRING", False),
        ("messages", "STRING", False),
        ("tools", "STRING", False),
        ("tool_choice", "STRING", False),
        ("parallel_tool_calls", "BOOL", False),
        ("enable_thinking", "BOOL", False),
        ("max_tokens", "INT32", False),
        ("stream", "BOOL", False),
        ("temperature", "FP32", False),
        ("top_k", "INT32", False),
        ("top_p", "FP32", False),
        ("min_p", "FP32", False),
        ("repetition_penalty", "FP32", False),
        ("presence_penalty", "FP32", False),
        ("frequency_penalty", "FP32", False),
        ("random_seed", "UINT64", False),
        ("stop_words", "STRING", True),
        ("bad_words", "STRING", True),
        ("min_tokens", "INT32", False),
        ("end_id", "INT32", False),
        ("pad_id", "INT32", False),
        ("exclude_input_in_output", "BOOL", False),
        ("return_log_probs", "BOOL", False),
        ("guided_decoding_guide_type", "STRING", False),
        ("guided_decoding_guide", "STRING", False),
        ("timeout_ms", "INT64", False),
    )
)
"""The same list as in model_repository/gemma4/config.pbtxt; a test compares them."""


def read_inputs(
    tensors: Mapping[str, npt.NDArray[Any]], inputs: Sequence[InputSpec] = INPUTS
) -> dict[str, Any]:
    """Tensors by name ([1, 1] or [1]; ``many`` ones [1, n]) to str, bool, int, float or a list
    of them. Raises INVALID_ARGUMENT for shapes, dtypes, NaN, infinities and invalid UTF-8."""
    specs = {spec.name: spec for spec in inputs}
    values: dict[str, Any] = {}
    for name, array in tensors.items():
        spec = specs.get(name)
        if spec is None:
            raise invalid(
                Code.UNKNOWN_INPUT, name, f"no such input; the inputs are {', '.join(specs)}"
            )
        flat = _flat(spec, array)
        items = [_value(spec, item) for item in flat]
        values[name] = items if spec.many else items[0]
    return values


def _flat(spec: InputSpec, array: npt.NDArray[Any]) -> list[Any]:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1):
        raise invalid(
            Code.WRONG_TYPE,
            spec.name,
            f"shape {list(array.shape)}: one request carries one prompt, shape "
            f"{'[1, n]' if spec.many else '[1, 1]'}; send several requests instead of a batch",
        )
    if not spec.many and array.size != 1:
        raise invalid(
            Code.WRONG_TYPE,
            spec.name,
            f"shape {list(array.shape)} holds {array.size} values, needs one",
        )
    if array.size > spec.most:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            spec.name,
            f"{array.size} values; at most {spec.most}",
            size=array.size,
            limit=spec.most,
        )
    items: list[Any] = array.reshape(-1).tolist()
    return items


def _value(spec: InputSpec, item: Any) -> Any:
    if spec.dtype == "STRING":
        return _text(spec.name, item)
    if spec.dtype == "BOOL":
        if not isinstance(item, bool):
            raise invalid(Code.WRONG_TYPE, spec.name, f"{item!r} is not a BOOL")
        return item
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise invalid(Code.WRONG_TYPE, spec.name, f"{item!r} is not a number")
    if spec.dtype == "FP32":
        if not math.isfinite(item):
            raise invalid(Code.OUT_OF_RANGE, spec.name, f"{item} is not a finite number")
        return float(item)
    if not isinstance(item, int):
        raise invalid(Code.WRONG_TYPE, spec.name, f"{item!r} is not an integer")
    return item


def _text(name: str, item: Any) -> str:
    if isinstance(item, str):
        item = item.encode("utf-8", errors="surrogatepass")
    if not isinstance(item, bytes):
        raise invalid(Code.WRONG_TYPE, name, f"{type(item).__name__} is not a string")
    if len(item) > _MOST_BYTES:
        raise invalid(
            Code.INPUT_TOO_LARGE,
            name,
            f"{len(item)} bytes; at most {_MOST_BYTES}",
            size=len(item),
            limit=_MOST_BYTES,
        )
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid(
            Code.INVALID_TEXT, name, f"is not valid UTF-8: {error.reason} at byte {error.start}"
        ) from None
