"""Requests and responses in Triton's protobuf form.

The SDK calls ``gemma4_packed``: the ensemble ``gemma4`` with the outputs of a chunk in one tensor.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from gemma4_client.results import Delta

__all__ = ["INPUT_TYPES", "MODEL", "build_request", "read_delta"]

MODEL = "gemma4_packed"

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
    inputs: Mapping[str, Any], *, request_id: str = "", model: str = MODEL
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


def read_delta(response: service_pb2.ModelInferResponse) -> Delta | None:
    """The chunk in a response of ``gemma4_packed``: its only tensor is a JSON object of the outputs
    of ``gemma4`` that are not empty or 0. None in a response without outputs: the last one of some
    streams, and the server's own look whether the client is still there."""
    if not response.outputs:
        return None
    values = json.loads(response.raw_output_contents[0])
    get = values.get
    calls, timings = get("tool_calls"), get("timings")
    return Delta(
        text=get("text_output", ""),
        reasoning=get("reasoning_output", ""),
        tool_calls=json.loads(calls) if calls else [],
        finish_reason=get("finish_reason", ""),
        index=get("chunk_index", 0),
        prompt_tokens=get("prompt_tokens", 0),
        completion_tokens=get("completion_tokens", 0),
        ids=get("output_ids", []),
        log_probs=get("output_log_probs", []),
        timings=json.loads(timings) if timings else None,
    )
