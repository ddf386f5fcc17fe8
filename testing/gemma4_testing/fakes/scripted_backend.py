"""A back end whose answer is chosen by what the user said last."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gemma4_testing.fakes.fake_triton import TAKES_PINGS, Seen, _Servicer, chunk, message

__all__ = ["Piece", "ScriptedBackend", "scripted_backend", "thought", "tool_call"]

Piece = dict[str, Any]
Answer = Callable[[list[dict[str, Any]]], Sequence[str | Piece]]
PROBED = 'INVALID_ARGUMENT: [out_of_range field="max_tokens" least=1] max_tokens: 0 must be'


def thought(text: str) -> Piece:
    """A chunk of a thought."""
    return {"text_output": "", "reasoning_output": text}


def tool_call(name: str, **arguments: Any) -> Piece:
    """A chunk that is a call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return {"text_output": "", "tool_calls": json.dumps(calls)}


@dataclass
class ScriptedBackend:
    """``heard``: the messages of each request. ``left``: callers that left before the end."""

    address: str = ""
    heard: list[list[dict[str, Any]]] = field(default_factory=list)
    left: int = 0


class _Scripted(_Servicer):
    def __init__(self, told: ScriptedBackend, answer: Answer, pause: float) -> None:
        super().__init__(iter(()), Seen())
        self._told, self._answer, self._pause = told, answer, pause

    def ModelStreamInfer(self, requests: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        request = next(requests)
        inputs = dict(
            zip((i.name for i in request.inputs), request.raw_input_contents, strict=True)
        )
        if inputs.get("max_tokens") == b"\0\0\0\0":
            yield service_pb2.ModelStreamInferResponse(error_message=PROBED)
            return
        messages = json.loads(inputs["messages"][4:])
        self._told.heard.append(messages)
        pieces = self._answer(messages)
        ended: list[bool] = []
        context.add_callback(lambda: self._leave(ended))
        for index, piece in enumerate(pieces):
            last = index == len(pieces) - 1
            fields = {"text_output": piece} if isinstance(piece, str) else piece
            reason = "" if not last else "tool_calls" if fields.get("tool_calls") else "stop"
            if last:
                ended.append(True)
            yield message(chunk(index, reason) | fields)
            time.sleep(self._pause)

    def _leave(self, ended: list[bool]) -> None:
        self._told.left += not ended


@contextmanager
def scripted_backend(answer: Answer, *, pause: float = 0.0) -> Iterator[ScriptedBackend]:
    """In this process. ``answer`` gets the messages and returns texts, or outputs of chunks, which
    come ``pause`` seconds apart."""
    told = ScriptedBackend()
    server = grpc.server(ThreadPoolExecutor(64), options=TAKES_PINGS)
    servicer = _Scripted(told, answer, pause)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    told.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield told
    finally:
        server.stop(None).wait()
