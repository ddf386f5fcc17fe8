"""Send a request and say how it ended. Whatever it is, it ends: with an answer or an error."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import grpc
from gemma4_client.errors import ClientCode, from_rpc
from gemma4_runtime.errors import parse_wire
from tritonclient.grpc import service_pb2

from gemma4_testing.fuzz.spec import MODELS, Spec
from gemma4_testing.fuzz.wire import generate_body, infer_body, message

HANG_S = 30
_LEAKS = ("Traceback", "\nAt:", ".py(", "site-packages", str(Path(__file__).parents[3]))


class NotEndedError(AssertionError):
    """A request hung, or its connection was closed without a word."""


@dataclass(frozen=True)
class Ended:
    """``answers``: responses with outputs. ``ends``: final responses and errors, where the
    protocol tells them."""

    error: str = ""
    answers: int = 0
    ends: int = 1

    @property
    def code(self) -> str:
        """Of the error, where one of our models sent it."""
        sent = parse_wire(self.error)
        return "" if sent is None else sent.code


class Sender:
    """Connections of one thread to one server."""

    def __init__(self, http_port: int, grpc_port: int) -> None:
        self._http_port = http_port
        self._http: http.client.HTTPConnection | None = None
        self._channel = grpc.insecure_channel(
            f"127.0.0.1:{grpc_port}",
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        )
        service = "/inference.GRPCInferenceService/"
        self._infer = self._channel.unary_unary(
            service + "ModelInfer",
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        self._stream = self._channel.stream_stream(
            service + "ModelStreamInfer",
            response_deserializer=service_pb2.ModelStreamInferResponse.FromString,
        )

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._channel.close()
        if self._http is not None:
            self._http.close()

    def http_infer(self, spec: Spec, number: int) -> Ended:
        body, headers = infer_body(spec, binary=number % 2 == 0)
        return self.post(_path(spec) + "infer", body, headers)

    def http_generate(self, spec: Spec, number: int) -> Ended:
        body, headers = generate_body(spec)
        return self.post(_path(spec) + ("generate", "generate_stream")[number % 2], body, headers)

    def grpc_infer(self, spec: Spec, number: int) -> Ended:
        return self.infer_bytes(message(spec))

    def grpc_stream(self, spec: Spec, number: int) -> Ended:
        return self.stream_bytes([message(spec)])

    def infer_bytes(self, data: bytes) -> Ended:
        try:
            self._infer(data, timeout=HANG_S)
        except grpc.RpcError as error:
            return _failed(error)
        return Ended(answers=1)

    def stream_bytes(self, messages: list[bytes]) -> Ended:
        """Of several requests: the error of the last that has one; ``ends`` of all."""
        error, answers, ends = "", 0, 0
        try:
            for reply in self._stream(iter(messages), timeout=HANG_S):
                if reply.error_message:
                    error, ends = _harmless(reply.error_message), ends + 1
                    continue
                response = reply.infer_response
                answers += bool(response.outputs)
                ends += response.parameters["triton_final_response"].bool_param
        except grpc.RpcError as failed:
            return _failed(failed)
        return Ended(error, answers, ends)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Ended:
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=HANG_S)
        try:
            self._http.request("POST", path, body, headers)
            reply = self._http.getresponse()
            text = reply.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            self._http = None
            raise NotEndedError(f"{type(error).__name__}: {error}") from error
        _harmless(text)
        failed = reply.status != 200 or '"error":' in text
        return Ended(text if failed else "", answers=not failed)


PROTOCOLS: dict[str, Callable[[Sender, Spec, int], Ended]] = {
    "http infer": Sender.http_infer,
    "http generate": Sender.http_generate,
    "grpc infer": Sender.grpc_infer,
    "grpc stream": Sender.grpc_stream,
}
_UNARY = ("gemma4_unary",) * 4 + ("gemma4_tokenizer", "preprocessing")
MODELS_OF = {
    "http infer": (*MODELS, *_UNARY),
    "http generate": MODELS,
    "grpc infer": (*MODELS, *_UNARY),
    "grpc stream": MODELS,
}
"""More often those that the protocol can call at all."""


def _path(spec: Spec) -> str:
    version = f"/versions/{quote(spec.version, safe='/')}" if spec.version else ""
    model = quote(spec.model.encode("utf-8", "surrogateescape"), safe="")
    return f"/v2/models/{model}{version}/"


def _failed(error: grpc.RpcError) -> Ended:
    status, details = error.code().name, error.details() or ""
    if parse_wire(details) is None:  # no model of ours said it
        ended = {"DEADLINE_EXCEEDED": "hung", "CANCELLED": "cut off"}.get(status, "")
        if from_rpc(error).code in (ClientCode.CONNECTION_FAILED, ClientCode.CONNECTION_LOST):
            ended = "the server went away"
        if ended:
            raise NotEndedError(f"{ended}: {status} {details}")
    return Ended(_harmless(details) or status)


def _harmless(text: str) -> str:
    """An error may repeat what was sent, but shows nothing of the server's files."""
    for leak in _LEAKS:
        assert leak not in text, text[:2000]
    return text
