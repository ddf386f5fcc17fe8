"""gRPC, blocking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_client.address import Address
from gemma4_client.errors import CancelledError, Gemma4Error, from_rpc
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import NEEDED, own_cancel
from gemma4_client.transport.grpc_pool import Pool
from gemma4_client.transport.grpc_wire import (
    CHANNEL_OPTIONS,
    END_S,
    message_delta,
    metadata,
    raw_outputs,
    ready_request,
)
from gemma4_client.wire import build_infer, build_request

__all__ = ["GrpcCall", "GrpcTransport"]


class GrpcCall:
    """See :class:`~gemma4_client.transport.base.Call`. ``call`` iterates over messages."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._cancelled = False

    def __iter__(self) -> Iterator[Delta]:
        whole = False
        try:
            # To the end of the call, not to the last chunk: a cancel now would be one more packet.
            for message in self._call:
                delta = message_delta(message)
                if delta is not None:
                    whole = delta.finish_reason != ""
                    yield delta
        except grpc.RpcError as error:
            if self._cancelled:
                raise CancelledError(own_cancel()) from None
            if not whole:
                raise from_rpc(error) from None
        except Gemma4Error:
            self._end()
            raise
        finally:
            self._call.cancel()

    def _end(self) -> None:
        """Read on after an error message; see :data:`END_S`."""
        late = threading.Timer(END_S, self._call.cancel)
        late.start()
        try:
            for _ in self._call:
                pass
        except grpc.RpcError:
            pass
        finally:
            late.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self._call.cancel()


class GrpcTransport:
    """See :class:`~gemma4_client.transport.base.Transport`."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        self._pool = Pool(lambda: _connect(address), _when_over)
        self._metadata = metadata(headers)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._pool.first)

    def start(self, request: Request, timeout: float | None) -> GrpcCall:
        message = build_request(request.inputs, request_id=request.request_id)
        return GrpcCall(
            self._pool.start(
                message, timeout=timeout, metadata=self._metadata + metadata(request.headers)
            )
        )

    def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        message = build_infer(model, inputs)
        try:
            return raw_outputs(
                self._stub.ModelInfer(message, timeout=timeout, metadata=self._metadata)
            )
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    def ready(self, timeout: float) -> bool:
        options: dict[str, Any] = {"timeout": timeout, "metadata": self._metadata}
        asked = [self._stub.ServerReady.future(service_pb2.ServerReadyRequest(), **options)]
        asked += [self._stub.ModelReady.future(ready_request(name), **options) for name in NEEDED]
        try:
            return all(reply.result().ready for reply in asked)
        except grpc.RpcError:
            return False

    def close(self) -> None:
        for channel in self._pool.channels:
            channel.close()


def _connect(address: Address) -> grpc.Channel:
    tls = address.tls
    if tls is None:
        return grpc.insecure_channel(address.target, options=CHANNEL_OPTIONS)
    return grpc.secure_channel(
        address.target, tls.grpc_credentials(), options=(*CHANNEL_OPTIONS, *tls.grpc_options())
    )


def _when_over(call: Any, then: Callable[[], None]) -> None:
    if not call.add_callback(then):
        then()
