"""Requests and responses in Triton's protobuf form.

The SDK calls the model ``engine``, with the inputs of the ensemble ``gemma4``: its outputs come in
one tensor, past the steps of the ensemble that each response costs.
"""

from __future__ import annotations

import difflib
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.contract.outputs import OUTPUTS
from gemma4_runtime.trace_context import TraceContext, trace_fields
from tritonclient.grpc import service_pb2
from tritonclient.utils import deserialize_bytes_tensor

from gemma4_client.results import Delta

__all__ = [
    "INPUT_TYPES",
    "MODEL",
    "build_infer",
    "build_poll",
    "build_request",
    "check_inputs",
    "delta_of",
    "raw_tensor",
    "read_bundle",
    "read_delta",
    "read_strings",
]

MODEL = "engine"

INPUT_TYPES = {tensor.name: tensor.wire_type for tensor in INPUTS}
_LISTS = tuple(tensor.name for tensor in INPUTS if tensor.many)
_FORMATS = {"BOOL": "<?", "INT32": "<i", "INT64": "<q", "UINT64": "<Q", "FP32": "<f"}


def check_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``inputs`` by tensor name without those that are None or an empty list.
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
        raw_tensor(name, INPUT_TYPES[name], _items(name, value))
    return checked


def _known() -> str:
    return ", ".join(INPUT_TYPES)


def _items(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        return (value,)
    if name not in _LISTS:
        raise ValueError(f"{name}={value!r} must be one value, not a list")
    return value


_length = struct.Struct("<I").pack


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
    """Values as Triton's binary form. Raises :class:`ValueError`.

    By hand: a string takes 0.5 us, with ``tritonclient.utils.serialize_byte_tensor`` 29 us, and a
    request of 170 us has two to four of them (2 cores, no GPU)."""
    if datatype == "INT32":  # token ids: many
        try:
            return struct.pack(f"<{len(values)}i", *values)
        except struct.error:
            pass  # the one at fault is named below
    return b"".join([_pack(name, datatype, value) for value in values])


def build_request(
    inputs: Mapping[str, Any],
    *,
    request_id: str = "",
    model: str = MODEL,
    feed: str = "",
    trace: TraceContext | None = None,
) -> service_pb2.ModelInferRequest:
    """Write ``inputs`` by tensor name; a list gives shape [1, n], anything else [1, 1]. None is
    left out. ``feed`` is KEY/NUMBER of a feed that shall carry the chunks. Raises
    :class:`ValueError` as :func:`check_inputs`."""
    request = service_pb2.ModelInferRequest(model_name=model, id=request_id)
    for name, value in check_inputs(inputs).items():
        _add_tensor(request, name, INPUT_TYPES[name], _items(name, value))
    # Without this the end of a stream that failed late could not be told from its middle.
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    if feed:
        request.parameters["gemma4_feed"].string_param = feed
    if trace is not None:
        for field, text in trace_fields(trace).items():
            request.parameters[field].string_param = text
    return request


def build_poll(key: str, responses: int) -> service_pb2.ModelInferRequest:
    """Asks ``engine`` for the next bundles of the feed ``key``, so many."""
    return build_infer(MODEL, {"feed": ("BYTES", [f"{key}/{responses}"])})


def build_infer(
    model: str, inputs: Mapping[str, tuple[str, Sequence[Any]]]
) -> service_pb2.ModelInferRequest:
    """Make a plain call of ``model`` with (data type, values) by tensor name, shapes [1, n]."""
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, (datatype, values) in inputs.items():
        _add_tensor(request, name, datatype, values)
    return request


def read_strings(data: bytes) -> list[bytes]:
    """Elements of a raw BYTES tensor."""
    items: list[bytes] = deserialize_bytes_tensor(data).tolist()
    return items


_ABSENT = {tensor.name: tensor.absent for tensor in OUTPUTS}
"""What an output that ``engine`` leaves out stands for."""


def read_delta(response: service_pb2.ModelInferResponse) -> Delta | None:
    """Read the chunk in a response of ``engine``: its only tensor is a JSON object of the outputs
    of ``gemma4``, where an empty or 0 one may be absent. None in a response without outputs: the
    last one of some streams."""
    if not response.outputs:
        return None
    return delta_of(_ABSENT | json.loads(response.raw_output_contents[0].decode()))


def read_bundle(response: service_pb2.ModelInferResponse) -> list[tuple[int, Delta]]:
    """Read a response to a poll: chunks with the numbers of their streams; none: the feed has
    ended."""
    bundle = json.loads(response.raw_output_contents[0].decode())
    return [(number, delta_of(_ABSENT | outputs)) for number, outputs in bundle]


def delta_of(outputs: Mapping[str, Any]) -> Delta:
    """Make the chunk of these outputs of ``gemma4``. Raises :class:`KeyError` for one that
    lacks."""
    calls, timings = outputs["tool_calls"], outputs["timings"]
    return Delta(
        outputs["text_output"],
        outputs["reasoning_output"],
        json.loads(calls) if calls else [],
        outputs["finish_reason"],
        outputs["chunk_index"],
        outputs["prompt_tokens"],
        outputs["completion_tokens"],
        [*outputs["output_ids"]],
        [*outputs["output_log_probs"]],
        json.loads(timings) if timings else None,
        outputs["cum_log_probs"],
        outputs.get("reasoning_tokens", 0),
        [(number, size) for number, size in outputs.get("text_tokens", ())],
        [[(token, log) for token, log in top] for top in outputs.get("top_log_probs", ())],
        outputs.get("stop_reason"),
    )
