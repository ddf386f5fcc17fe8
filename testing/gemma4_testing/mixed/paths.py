"""The ways to a server: the same request through each, and what came of it in one form."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
import httpx
from gemma4_client import AsyncClient, Gemma4Error
from gemma4_client.request import Request
from gemma4_client.results import merged
from gemma4_client.wire import _ABSENT, build_request, check_inputs, delta_of, read_delta
from tritonclient.grpc import service_pb2_grpc

from gemma4_testing.mixed.made import Case

__all__ = ["PATHS", "Outcome", "Ways"]

_STATUS = re.compile(r"(?:in ensemble 'gemma4', )?([A-Z_]+): ")


@dataclass
class Outcome:
    """``refused`` is the status of an error, or "". Calls are name and arguments, since ids are
    made anew. ``ids`` is None where a way does not tell them."""

    refused: str = ""
    message: str = ""
    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    finish: str = ""
    ids: list[int] | None = None

    def shown(self) -> tuple[Any, ...]:
        return (self.refused, self.text, self.reasoning, self.calls, self.finish)


class Ways:
    """Connections to a server and its gateway."""

    def __init__(self, grpc_port: int, gateway: str, model: str) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}")
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._client = AsyncClient(f"127.0.0.1:{grpc_port}", retry=None, breaker=None)
        self._http = httpx.AsyncClient(base_url=gateway, timeout=60, verify=False)
        self._model = model

    async def close(self) -> None:
        await self._client.close()
        await self._channel.close()
        await self._http.aclose()

    async def triton(self, case: Case, *, model: str, stream: bool) -> Outcome:
        request = build_request(case.inputs | {"stream": stream}, model=model)
        deltas, refused = [], None
        try:
            async for reply in self._stub.ModelStreamInfer(_one(request)):
                response = reply.infer_response
                if reply.error_message:  # read on: Triton 2.51 keeps a call that is left here
                    refused = _refused(reply.error_message)
                elif response.outputs:
                    found = read_delta(response) if model == "engine" else _delta(response)
                    assert found is not None
                    deltas.append(found)
        except grpc.aio.AioRpcError as error:
            return _refused(error.details() or "", error.code().name)
        if refused is not None:
            return refused
        assert [delta.index for delta in deltas] == list(range(len(deltas)))
        assert [bool(delta.finish_reason) for delta in deltas] == [False] * (len(deltas) - 1) + [
            True
        ]
        assert stream or len(deltas) == 1
        return _answer(merged(deltas, index=0))

    async def feed(self, case: Case) -> Outcome:
        """By our client, which uses a feed when many streams run."""
        inputs = check_inputs(case.inputs | {"stream": True})
        stream = self._client._stream(Request(inputs=inputs, request_id=""))
        try:
            return _answer(await stream.result())
        except Gemma4Error as error:
            return Outcome(error.status, str(error))

    async def gateway(self, case: Case, *, stream: bool) -> Outcome:
        if case.chat is not None:
            return await self._post("/v1/chat/completions", case.chat, _choice, stream=stream)
        assert case.completion is not None
        return await self._post("/v1/completions", case.completion, _choice, stream=stream)

    async def responses(self, case: Case, *, stream: bool) -> Outcome:
        assert case.response is not None
        return await self._post("/v1/responses", case.response, _response, stream=stream)

    async def _post(
        self, path: str, body: dict[str, Any], read: Callable[..., Outcome], *, stream: bool
    ) -> Outcome:
        data = json.dumps(body | {"model": self._model, "stream": stream})
        reply = await self._http.post(
            path, content=data, headers={"content-type": "application/json"}
        )
        if reply.status_code != 200:
            assert 400 <= reply.status_code < 500, (reply.status_code, reply.text)
            assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
            return Outcome("INVALID_ARGUMENT", reply.json()["error"]["message"])
        if not stream:
            return read([reply.json()], whole=True)
        lines = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
        events = [json.loads(line) for line in lines if line != "[DONE]"]
        for event in events:
            assert not event.get("error"), event
        ended = lines[-1] == "[DONE]" or events[-1]["type"] in (
            "response.completed",
            "response.incomplete",
        )
        assert ended, lines[-1]
        return read(events, whole=False)


async def _one(request: Any) -> Any:
    yield request


def _refused(message: str, status: str = "") -> Outcome:
    found = _STATUS.match(message)
    return Outcome(found[1] if found else status or "?", message)


def _delta(response: Any) -> Any:
    kinds = {"INT32": "i", "FP32": "f"}
    values: dict[str, Any] = {}
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.datatype == "BYTES":
            values[output.name] = data[4:].decode()
        else:
            many = struct.unpack(f"<{len(data) // 4}{kinds[output.datatype]}", data)
            values[output.name] = list(many) if output.name.startswith("output_") else many[0]
    return delta_of(_ABSENT | values)


def _calls(calls: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


def _answer(found: Any) -> Outcome:
    assert len(found.log_probs) in (0, len(found.ids))
    return Outcome(
        text=found.text, reasoning=found.reasoning, calls=_calls(found.tool_calls),
        finish=found.finish_reason, ids=list(found.ids),
    )  # fmt: skip


def _choice(bodies: list[dict[str, Any]], *, whole: bool) -> Outcome:
    """Of /v1/chat/completions and /v1/completions."""
    found = Outcome()
    for body in bodies:
        for choice in body["choices"]:
            part = choice if "text" in choice else choice["message" if whole else "delta"]
            found.text += part.get("text") or part.get("content") or ""
            found.reasoning += part.get("reasoning_content") or ""
            found.calls += _calls(part.get("tool_calls") or [])
            found.finish = choice["finish_reason"] or found.finish
    assert found.finish, bodies
    return found


def _response(bodies: list[dict[str, Any]], *, whole: bool) -> Outcome:
    body = bodies[-1] if whole else bodies[-1]["response"]
    found = Outcome(finish="length" if body["status"] == "incomplete" else "stop")
    for item in body["output"]:
        if item["type"] == "message":
            (part,) = item["content"]
            found.text += part["text"]
            shown = b"".join(bytes(token["bytes"]) for token in part["logprobs"])
            assert not shown or shown.decode("utf-8", "replace") == part["text"]
        elif item["type"] == "function_call":
            found.calls.append((item["name"], item["arguments"]))
        else:
            found.reasoning += item["content"][0]["text"]
    return found


Way = Callable[[Ways, Case], Awaitable[Outcome]]
PATHS: dict[str, Way] = {
    "ensemble, whole": lambda w, c: w.triton(c, model="gemma4", stream=False),
    "ensemble, streamed": lambda w, c: w.triton(c, model="gemma4", stream=True),
    "direct, whole": lambda w, c: w.triton(c, model="engine", stream=False),
    "direct, streamed": lambda w, c: w.triton(c, model="engine", stream=True),
    "feed": lambda w, c: w.feed(c),
    "gateway, whole": lambda w, c: w.gateway(c, stream=False),
    "gateway, streamed": lambda w, c: w.gateway(c, stream=True),
    "responses, whole": lambda w, c: w.responses(c, stream=False),
    "responses, streamed": lambda w, c: w.responses(c, stream=True),
}
