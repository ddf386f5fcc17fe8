"""How an input tensor becomes a Python value, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.contract.tensors import Tensor
from gemma4_runtime.errors import Code, invalid

__all__ = ["only_one", "read_inputs"]


_MOST_BYTES = 2**21
"""Of one string, before anything reads it; most inputs have lower limits of their own."""

_WHOLE = ("INT32", "INT64", "UINT64")

_INPUTS = {
    tensor.name: Tensor(tensor.name, tensor.dtype, tensor.many, tensor.most) for tensor in INPUTS
}
"""Of one class: Python reads attributes faster where it meets only one."""


def read_inputs(
    tensors: Mapping[str, npt.NDArray[Any]], specs: Mapping[str, Tensor] = _INPUTS
) -> dict[str, Any]:
    """Tensors by name ([1, 1] or [1]; ``many`` ones [1, n]) to str, bool, int, float or a list
    of them. ``specs`` are the declared ones by name. Raises INVALID_ARGUMENT for shapes, dtypes,
    NaN, infinities and invalid UTF-8."""
    values: dict[str, Any] = {}
    for name, array in tensors.items():
        spec = specs.get(name)
        if spec is None:
            raise invalid(
                Code.UNKNOWN_INPUT, name, f"no such input; the inputs are {', '.join(specs)}"
            )
        flat = _flat(spec, array)
        whole = array.dtype.kind in "iu" and spec.dtype in _WHOLE  # each is an int: none is checked
        items = flat if whole else [_value(spec, item) for item in flat]
        values[name] = items if spec.many else items[0]
    return values


def only_one(values: Mapping[str, Any], names: Sequence[str], *, usual: str) -> str:
    """Return which of ``names`` is among the inputs. Raises INVALID_ARGUMENT for none, in the name
    of the ``usual`` one, and for several."""
    given = [name for name in names if name in values]
    if not given:
        others = " and ".join(name for name in names if name != usual)
        raise invalid(
            Code.MISSING_INPUT, usual, f"is missing, and so are {others}; send one of them"
        )
    if len(given) > 1:
        raise invalid(
            Code.CONFLICTING_INPUTS,
            given[0],
            f"{given[1]} is given too; send one of them",
            other=given[1],
        )
    return given[0]


def _flat(spec: Tensor, array: npt.NDArray[Any]) -> list[Any]:
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


def _value(spec: Tensor, item: Any) -> Any:
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
