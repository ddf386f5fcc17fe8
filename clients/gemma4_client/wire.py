"""Requests and responses of the ``gemma4`` model in Triton's protobuf form."""

from __future__ import annotations

import difflib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2

from gemma4_client.errors import ServerError
from gemma4_client.results import Delta

__all__ = [
    "INPUT_TYPES",
    "build_infer",
    "build_request",
    "check_inputs",
    "raw_tensor",
    "read_delta",
    "read_strings",
]

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
_LISTS = ("stop_words", "bad_words")
_FORMATS = {"BOOL": "<?", "INT32": "<i", "INT64": "<q", "UINT64": "<Q", "FP32": "<f"}


def check_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` by tensor name without those that are None or an empty list.
    Raises :class:`ValueError` for an unknown name or a value that its tensor cannot hold."""
    checked = {
        name: value
        for name, value in inputs.items()
        if value is not None and not (name in _LISTS and not value)
    }
    for name, value in checked.items():
        if name not in INPUT_TYPES:
            close = difflib.get_close_matches(name, INPUT_TYPES, n=1)
            raise ValueError(
                f"{name}: no such option"
                + (f"; did you mean {close[0]}?" if close else f"; there are {_known()}")
            )
        for item in _items(name, value):
            _pack(name, INPUT_TYPES[name], item)
    return checked


def _known() -> str:
    return ", ".join(INPUT_TYPES)


def _items(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        return (value,)
    if name not in _LISTS:
        raise ValueError(f"{name}={value!r} must be one value, not a list")
    return value


def _pack(name: str, datatype: str, value: Any) -> bytes:
    """One element as it is in a raw tensor."""
    if datatype == "BYTES":
        if not isinstance(value, str):
            raise ValueError(f"{name}={value!r} must be a string")
        try:
            data = value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name} is not valid Unicode: {error}") from None
        return _length(len(data)) + data
    if datatype == "BOOL" and not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r} must be True or False")
    try:
        return struct.pack(_FORMATS[datatype], value)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{name}={value!r} is no {datatype}: {error}") from None


def _add_tensor(
    request: service_pb2.ModelInferRequest, name: str, datatype: str, values: Sequence[Any]
) -> None:
    tensor = request.inputs.add(name=name, datatype=datatype)
    tensor.shape.extend([1, len(values)])
    request.raw_input_contents.append(raw_tensor(name, datatype, values))


def raw_tensor(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    """Values as Triton's binary form. Raises :class:`ValueError`."""
    return b"".join([_pack(name, datatype, value) for value in values])


def build_request(
    inputs: Mapping[str, Any], *, request_id: str = "", model: str = "gemma4"
) -> service_pb2.ModelInferRequest:
    """``inputs`` by tensor name; a list gives shape [1, n], anything else [1, 1]. None is left
    out. Raises :class:`ValueError` as :func:`check_inputs`."""
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    for name, value in check_inputs(inputs).items():
        _add_tensor(request, name, INPUT_TYPES[name], _items(name, value))
    # Without this the end of a stream that failed late could not be told from its middle.
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def build_infer(
    model: str, inputs: Mapping[str, tuple[str, Sequence[Any]]]
) -> service_pb2.ModelInferRequest:
    """A plain call of ``model`` with (data type, values) by tensor name, shapes [1, n]."""
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, (datatype, values) in inputs.items():
        _add_tensor(request, name, datatype, values)
    return request


def read_strings(data: bytes) -> list[bytes]:
    """Elements of a raw BYTES tensor."""
    items, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        items.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return items


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
_length = struct.Struct("<I").pack
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
