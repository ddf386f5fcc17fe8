"""Requests and responses of the ``gemma4`` model in Triton's protobuf form."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from gemma4_client.errors import ServerError
from gemma4_client.results import Delta

__all__ = ["INPUT_TYPES", "build_request", "read_delta"]

INPUT_TYPES = {
    "text_input": "BYTES",
    "messages": "BYTES",
    "tools": "BYTES",
    "enable_thinking": "BOOL",
    "max_tokens": "INT32",
    "stream": "BOOL",
    "temperature": "FP32",
    "top_k": "INT32",
    "top_p": "FP32",
    "min_p": "FP32",
    "repetition_penalty": "FP32",
    "presence_penalty": "FP32",
    "frequency_penalty": "FP32",
    "random_seed": "UINT64",
    "stop_words": "BYTES",
    "bad_words": "BYTES",
    "min_tokens": "INT32",
    "end_id": "INT32",
    "pad_id": "INT32",
    "exclude_input_in_output": "BOOL",
    "return_log_probs": "BOOL",
    "guided_decoding_guide_type": "BYTES",
    "guided_decoding_guide": "BYTES",
    "timeout_ms": "INT64",
}
_FORMATS = {"BOOL": "<?", "INT32": "<i", "INT64": "<q", "UINT64": "<Q", "FP32": "<f"}


def _pack(name: str, datatype: str, value: Any) -> bytes:
    if datatype == "BYTES":
        data = value.encode() if isinstance(value, str) else bytes(value)
        return struct.pack("<I", len(data)) + data
    try:
        return struct.pack(_FORMATS[datatype], value)
    except struct.error as error:
        raise ValueError(f"{name}={value!r} is no {datatype}: {error}") from None


def build_request(
    inputs: Mapping[str, Any], *, request_id: str = "", model: str = "gemma4"
) -> service_pb2.ModelInferRequest:
    """``inputs`` by tensor name; a list gives shape [1, n], anything else [1, 1]. None is left
    out. Raises :class:`ValueError` for an unknown name or a value its type cannot hold."""
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    for name, value in inputs.items():
        if value is None:
            continue
        if name not in INPUT_TYPES:
            raise ValueError(f"{name}: no such option; there are {', '.join(INPUT_TYPES)}")
        items = value if isinstance(value, list | tuple) else [value]
        datatype = INPUT_TYPES[name]
        tensor = request.inputs.add(name=name, datatype=datatype)
        tensor.shape.extend([1, len(items)])
        request.raw_input_contents.append(b"".join(_pack(name, datatype, v) for v in items))
    # Without this the end of a stream that failed late could not be told from its middle.
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


_Layout = tuple[int, ...]
_OUTPUTS = (
    "text_output",
    "reasoning_output",
    "tool_calls",
    "finish_reason",
    "chunk_index",
    "prompt_tokens",
    "completion_tokens",
    "output_ids",
    "output_log_probs",
    "timings",
    "cum_log_probs",
)
_layouts: dict[tuple[str, ...], _Layout] = {}
"""Where each of _OUTPUTS stands, by the order of the names in a response: a server has one."""
_int = struct.Struct("<i").unpack
_float = struct.Struct("<f").unpack


def _layout(names: tuple[str, ...]) -> _Layout:
    missing = [name for name in _OUTPUTS if name not in names]
    if missing:
        raise ServerError(
            f"the response lacks {', '.join(missing)}; the server's 'gemma4' is not of this version"
        )
    found = tuple(names.index(name) for name in _OUTPUTS)
    if len(_layouts) < 64:
        _layouts[names] = found
    return found


def read_delta(response: service_pb2.ModelInferResponse) -> Delta | None:
    """The chunk in a response; None in an empty final one. A string tensor of one element is its
    length in four bytes, then its UTF-8. Raises :class:`ServerError` when an output is missing."""
    outputs = response.outputs
    if not outputs:
        return None
    raw = [*response.raw_output_contents]
    names = tuple([output.name for output in outputs])
    text, reasoning, calls, finish, index, prompt, completion, ids, log_probs, timings, cum = (
        _layouts.get(names) or _layout(names)
    )
    tokens, probs = raw[ids], raw[log_probs]
    calls_json, timings_json = raw[calls][4:], raw[timings][4:]
    return Delta(
        raw[text][4:].decode(),
        raw[reasoning][4:].decode(),
        json.loads(calls_json) if calls_json else [],
        raw[finish][4:].decode(),
        _int(raw[index])[0],
        _int(raw[prompt])[0],
        _int(raw[completion])[0],
        [*struct.unpack(f"<{len(tokens) // 4}i", tokens)],
        [*struct.unpack(f"<{len(probs) // 4}f", probs)] if probs else [],
        json.loads(timings_json) if timings_json else None,
        _float(raw[cum])[0],
    )
