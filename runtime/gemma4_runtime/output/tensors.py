"""The values of a response as arrays, one for each declared output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.contract.tensors import DataType
from gemma4_runtime.output.render import ChunkText

__all__ = ["output_tensors"]

_TYPES: dict[DataType, np.dtype[Any]] = {
    "STRING": np.dtype(np.object_),
    "INT32": np.dtype(np.int32),
    "FP32": np.dtype(np.float32),
}
_OUTPUTS = tuple(
    (tensor.name, _TYPES[tensor.dtype], tensor.many, tensor.dtype == "STRING") for tensor in OUTPUTS
)


def output_tensors(text: ChunkText) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Name and array of each output, shape [1, 1] or [1, n]; strings are bytes of UTF-8."""
    if text.top_log_probs:
        text = _in_rows(text)
    for name, dtype, many, is_text in _OUTPUTS:
        value = getattr(text, name)
        if is_text:
            value = value.encode()
        yield name, np.array([value if many else [value]], dtype=dtype)


def _in_rows(text: ChunkText) -> ChunkText:
    """Put the most probable tokens behind the answer's: row r has the r-th in each place."""
    ranks = list(zip(*text.top_log_probs or (), strict=True))
    return msgspec.structs.replace(
        text,
        output_ids=text.output_ids + [token for rank in ranks for token, _ in rank],
        output_log_probs=text.output_log_probs + [log for rank in ranks for _, log in rank],
    )
