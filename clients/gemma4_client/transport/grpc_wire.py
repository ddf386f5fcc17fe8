"""What the two gRPC transports share: the method, channel options, metadata, messages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritonclient.grpc import service_pb2

from gemma4_client.address import Address
from gemma4_client.errors import from_wire
from gemma4_client.results import Delta
from gemma4_client.wire import read_delta

__all__ = [
    "END_S",
    "STREAM_METHOD",
    "channel_options",
    "message_delta",
    "metadata",
    "raw_outputs",
    "ready_request",
]

SERVICE = "/inference.GRPCInferenceService/"
STREAM_METHOD: dict[str, Any] = {
    "method": SERVICE + "ModelStreamInfer",
    "request_serializer": service_pb2.ModelInferRequest.SerializeToString,
    "response_deserializer": service_pb2.ModelStreamInferResponse.FromString,
}
"""Called with one request and a half-close, which the server's two-way stream takes as well: no
request iterator, so no thread (sync) and no task (asyncio) to feed it."""

END_S = 5.0
"""How long to read on after an error message, to the end of the call, which comes at once, or
within seconds from a server that is very busy. Triton 2.51 keeps the descriptor of a connection
forever when a call is cancelled while it ends."""

_LARGEST_MESSAGE = 64 << 20
"""Bytes of a message, both ways; gRPC itself takes 4 MiB."""
_CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    # A ping keeps a silent stream through load balancers, which drop a connection that is idle for
    # 60 s (AWS, nginx) or more, and finds a dead one. `gemma4 serve` allows a ping each 10 s.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # After a server restart a new connection is tried within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Each client has a connection of its own; channels to one address would share one.
    ("grpc.use_local_subchannel_pool", 1),
)


def channel_options(address: Address) -> tuple[tuple[str, int], ...]:
    """Return the options of a channel; to this machine it goes without a proxy."""
    return (*_CHANNEL_OPTIONS, ("grpc.enable_http_proxy", int(not address.local)))


def metadata(headers: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Return headers as gRPC metadata, whose keys are lower case."""
    return tuple((key.lower(), value) for key, value in (headers or {}).items())


def message_delta(message: service_pb2.ModelStreamInferResponse) -> Delta | None:
    """Return the chunk of a message, None for an empty final one. Raises the error it carries."""
    if message.error_message:
        raise from_wire(message.error_message)
    return read_delta(message.infer_response)


def raw_outputs(response: service_pb2.ModelInferResponse) -> dict[str, bytes]:
    """Return raw tensors by name."""
    names = [output.name for output in response.outputs]
    return dict(zip(names, response.raw_output_contents, strict=True))


def ready_request(model: str) -> service_pb2.ModelReadyRequest:
    """Make the question whether Triton calls ``model`` ready."""
    return service_pb2.ModelReadyRequest(name=model)
