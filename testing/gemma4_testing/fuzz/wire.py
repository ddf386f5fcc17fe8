"""Specs as bytes: HTTP bodies and protobuf messages, changed at random places if so asked."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

from tritonclient.grpc import service_pb2

from gemma4_testing.fuzz.spec import Spec, Tensor

_FORMATS = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B",
    "UINT16": "H", "UINT32": "I", "UINT64": "Q", "FP32": "f", "FP64": "d",
}  # fmt: skip


def packed(tensor: Tensor) -> bytes:
    """Values in Triton's binary form; of those that do not fit, their text."""
    if "raw" in tensor:
        return bytes(tensor["raw"])
    letter = _FORMATS.get(str(tensor.get("datatype")))
    return b"".join(_packed(letter, item) for item in tensor.get("data") or [])


def _packed(letter: str | None, item: Any) -> bytes:
    if letter is not None:
        try:
            return struct.pack(f"<{letter}", item)
        except (struct.error, OverflowError, TypeError):
            pass
    if isinstance(item, str):
        item = item.encode("utf-8", "surrogateescape")
    data = item if isinstance(item, bytes) else repr(item).encode()
    return struct.pack("<I", len(data)) + data


def as_json(value: object) -> bytes:
    """JSON in which ``bytes`` are strings of just these bytes, UTF-8 or not."""
    text = json.dumps(
        value, ensure_ascii=False, default=lambda data: data.decode("utf-8", "surrogateescape")
    )
    return text.encode("utf-8", "surrogateescape")


def changed(spec: Spec, data: bytes) -> bytes:
    """``data`` with the spec's random bytes, cut off where it says."""
    out = bytearray(data[: math.ceil(len(data) * spec.cut)])
    for place, byte in spec.wire:
        if out:
            out[int(place * len(out))] = byte
    return bytes(out)


def infer_body(spec: Spec, *, binary: bool) -> tuple[bytes, dict[str, str]]:
    """Of HTTP `infer`, with tensors as JSON or, if ``binary``, behind it; and the headers."""
    inputs, tail = [], b""
    for tensor in spec.inputs:
        shown = {k: v for k, v in tensor.items() if k != "raw"}
        if binary or "raw" in tensor:
            data = packed(tensor)
            tail += data
            shown.pop("data", None)
            shown["parameters"] = {"binary_data_size": len(data), **(shown.get("parameters") or {})}
        inputs.append(shown)
    body: dict[str, Any] = {"inputs": inputs}
    for name in ("id", "parameters", "outputs"):
        if getattr(spec, name):
            body[name] = getattr(spec, name)
    head = as_json(body | spec.extra)
    headers = {"Inference-Header-Content-Length": str(len(head))} if tail else {}
    return changed(spec, head + tail), headers | spec.headers


def generate_body(spec: Spec) -> tuple[bytes, dict[str, str]]:
    """Of HTTP `generate` and `generate_stream`: inputs are fields, parameters too."""
    body: dict[str, Any] = dict(spec.parameters)
    for tensor in spec.inputs:
        data = [tensor["raw"]] if "raw" in tensor else tensor.get("data") or []
        body[str(tensor["name"])] = data[0] if len(data) == 1 else data
    if spec.id:
        body["id"] = spec.id
    return changed(spec, as_json(body | spec.extra)), spec.headers


def _set(parameter: Any, value: object) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        parameter.int64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    else:
        parameter.string_param = _text(value)


def _text(value: object) -> str:
    """protobuf takes no text that is not UTF-8."""
    text = value.decode("latin1") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "replace").decode()


def message(spec: Spec) -> bytes:
    """A ModelInferRequest."""
    made = service_pb2.ModelInferRequest(
        model_name=_text(spec.model), model_version=_text(spec.version), id=_text(spec.id)
    )
    for name, value in spec.parameters.items():
        _set(made.parameters[_text(name)], value)
    if not spec.cut < 1 and "triton_enable_empty_final_response" not in spec.parameters:
        made.parameters["triton_enable_empty_final_response"].bool_param = True
    for tensor in spec.inputs:
        shape = [int(n) for n in tensor.get("shape", []) if isinstance(n, int)]
        item = made.inputs.add(
            name=_text(tensor["name"]), datatype=_text(tensor["datatype"]), shape=shape
        )
        for name, value in (tensor.get("parameters") or {}).items():
            _set(item.parameters[_text(name)], value)
        made.raw_input_contents.append(packed(tensor))
    for output in spec.outputs:
        wanted = made.outputs.add(name=_text(output["name"]))
        for name, value in (output.get("parameters") or {}).items():
            _set(wanted.parameters[_text(name)], value)
    return changed(spec, made.SerializeToString())
