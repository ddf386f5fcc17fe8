"""Triton's HTTP forms: generate bodies, server-sent events, binary tensors. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gemma4_runtime.trace_context import trace_fields

from gemma4_client.errors import ServerError, from_wire
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.wire import delta_of, raw_tensor

__all__ = [
    "EventReader",
    "error_text",
    "generate_body",
    "infer_body",
    "ranks",
    "read_infer",
    "read_json",
]


def generate_body(request: Request, timeout: float | None) -> bytes:
    """Return the JSON of ``generate`` and ``generate_stream``. The server does not look at the
    connection of a plain call, nor of a stream before its first chunk, so the deadline goes along.
    Raises :class:`ValueError` for a number that JSON cannot write."""
    body = {"id": request.request_id, **request.inputs, **trace_fields(request.trace)}
    if timeout is not None:
        allowed = max(int(timeout * 1000), 1)
        body["timeout_ms"] = min(body.get("timeout_ms", allowed), allowed)
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        name = next(k for k, v in body.items() if isinstance(v, float) and v - v != 0)
        raise ValueError(f"{name}={body[name]} is not a finite number") from None


def ranks(request: Request) -> int:
    """Return how many most probable tokens the answer has in each place."""
    return int(request.inputs.get("top_logprobs") or 0)


def error_text(body: bytes) -> str:
    """Return the message of an answer that is not 200: Triton's JSON, in an event or not, or the
    start of any other text."""
    try:
        return str(json.loads(body.strip().removeprefix(b"data:"))["error"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode("utf-8", "replace").strip()


_LISTS = ("output_ids", "output_log_probs")


def _many(value: Any) -> list[Any]:
    """Read a list: Triton writes a tensor of one element as that element."""
    return value if isinstance(value, list) else [value]


def _of_rows(ids: list[int], log_probs: list[float], ranks: int) -> dict[str, Any]:
    """Return the first of 1 + ``ranks`` rows of equal length, and the others by place."""
    if not ranks:
        return {"output_ids": ids, "output_log_probs": log_probs}
    size = len(ids) // (1 + ranks)
    pairs = list(zip(ids, log_probs, strict=True))
    return {
        "output_ids": ids[:size],
        "output_log_probs": log_probs[:size],
        "top_log_probs": [pairs[size + place :: size] for place in range(size)],
    }


def read_json(data: bytes, most: int = 0) -> Delta:
    """Return the chunk in one JSON answer. The request was for ``most`` most probable tokens.
    Raises the error that the answer carries, or :class:`ServerError`."""
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise ServerError(f"the server's answer is not JSON ({error}): {data[:200]!r}") from None
    if "error" in fields:
        raise from_wire(fields["error"])
    try:
        ids, log_probs = (_many(fields.get(name, [])) for name in _LISTS)
        return delta_of(fields | _of_rows(ids, log_probs, most))
    except KeyError as error:
        raise ServerError(f"the server's 'gemma4' is not of this version: no {error}") from None


class EventReader:
    """Cuts a stream of bytes into the data of Triton's server-sent events, wherever the network cut
    it. Triton 2.51 ends a stream that failed late with JSON that is no event: :attr:`rest`, which
    httpx-sse would drop. An event of 220 bytes takes 5.5 us, with httpx-sse 15.6 us (its JSON then
    takes 78 us; 2 cores, no GPU)."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the ``data`` of each event that is whole now."""
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            text = event.strip()
            if text.startswith(b"data:"):
                yield text[5:]

    @property
    def rest(self) -> bytes:
        """What was not a whole event when the stream ended."""
        return self._rest.strip()


def infer_body(inputs: Mapping[str, tuple[str, Sequence[Any]]]) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a plain ``infer``, tensors in binary both ways: part of a
    character is no JSON. Raises :class:`ValueError`."""
    head, tail = [], []
    for name, (datatype, values) in inputs.items():
        data = raw_tensor(name, datatype, values)
        head.append(
            {
                "name": name,
                "datatype": datatype,
                "shape": [1, len(values)],
                "parameters": {"binary_data_size": len(data)},
            }
        )
        tail.append(data)
    text = json.dumps({"inputs": head, "parameters": {"binary_data_output": True}}).encode()
    return text + b"".join(tail), {"Inference-Header-Content-Length": str(len(text))}


def read_infer(body: bytes, header_length: str) -> dict[str, bytes]:
    """Return raw tensors by name. ``header_length``: the answer's Inference-Header-Content-Length,
    "" without one. Raises :class:`ServerError` for an answer that is not Triton's."""
    try:
        at = int(header_length)
        found: dict[str, bytes] = {}
        for output in json.loads(body[:at])["outputs"]:
            size = output["parameters"]["binary_data_size"]
            found[output["name"]] = body[at : at + size]
            at += size
    except (KeyError, TypeError, ValueError):
        raise ServerError(f"the answer is not Triton's: {body[:200]!r}") from None
    return found
