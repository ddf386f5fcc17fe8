"""The values of a response as arrays, one for each declared output that has any bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import DataType
from gemma4_runtime.output.render import ChunkText

__all__ = ["OutputTensors"]

_T = TypeVar("_T")

_TYPES: dict[DataType, np.dtype[Any]] = {
    "STRING": np.dtype(np.object_),
    "INT32": np.dtype(np.int32),
    "FP32": np.dtype(np.float32),
}
_OUTPUTS = tuple((tensor.name, _TYPES[tensor.dtype], tensor.many) for tensor in OUTPUTS)


class OutputTensors(Generic[_T]):
    """Makes the outputs of responses, shape [1, 1] or [1, n], where strings are bytes of UTF-8.

    ``make`` makes Triton's tensor of name and array, which takes 10 to 20 us. Most outputs of most
    chunks are empty or 0; those are made once. A list of nothing is left out: Triton's HTTP service
    (2.51) never frees what it notes of an output of no bytes, 80 bytes each."""

    def __init__(self, make: Callable[[str, npt.NDArray[Any]], _T]) -> None:
        self._make = make
        nothing = ChunkText()
        self._nothing = {
            name: make(name, _array(getattr(nothing, name), dtype, many=many))
            for name, dtype, many in _OUTPUTS
            if not many
        }

    def of(self, text: ChunkText) -> list[_T]:
        """Return a tensor for each declared output but those of no values."""
        text = _in_rows(text)
        return [
            self._make(name, _array(value, dtype, many=many))
            if (value := getattr(text, name))
            else self._nothing[name]
            for name, dtype, many in _OUTPUTS
            if not many or getattr(text, name)
        ]


def _array(value: Any, dtype: np.dtype[Any], *, many: bool) -> npt.NDArray[Any]:
    if isinstance(value, str):
        value = value.encode()
    return np.array([value if many else [value]], dtype=dtype)


def _in_rows(text: ChunkText) -> ChunkText:
    """Put the most probable tokens, if there are any, behind the answer's: row r has the r-th in
    each place."""
    if not text.top_log_probs:
        return text
    ranks = list(zip(*text.top_log_probs, strict=True))
    return msgspec.structs.replace(
        text,
        output_ids=text.output_ids + [token for rank in ranks for token, _ in rank],
        output_log_probs=text.output_log_probs + [log for rank in ranks for _, log in rank],
    )
