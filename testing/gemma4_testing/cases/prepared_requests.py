"""Inputs of a request as Triton gives them, and what becomes of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from gemma4_runtime.input.prepare import Preparer
from gemma4_runtime.messages import GenerationRequest

__all__ = ["array", "messages", "prepare", "user"]

DTYPES = {"BYTES": np.object_, "BOOL": np.bool_, "INT32": np.int32, "INT64": np.int64, "UINT64": np.uint64, "FP32": np.float32}  # fmt: skip


def array(dtype: str, values: list[Any]) -> np.ndarray[Any, Any]:
    if dtype == "BYTES":
        values = [v.encode() if isinstance(v, str) else v for v in values]
    return np.array([values], dtype=DTYPES[dtype])


def prepare(preparer: Preparer, inputs: dict[str, Any]) -> GenerationRequest | None:
    tensors = {name: array(*spec) for name, spec in inputs.items()}
    return preparer.prepare(tensors, request_id="r", key="k", now=100.0)


def messages(*items: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"messages": ("BYTES", [json.dumps(items)]), **others}


def user(text: list[dict[str, str]] | str) -> dict[str, Any]:
    return {"role": "user", "content": text}
