"""Requests and responses as protobuf; order checks; errors."""

from __future__ import annotations

from typing import Any

import pytest
from gemma4_client import (
    Client,
    Delta,
    InvalidRequestError,
    Stream,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client._sync.grpc_transport import GrpcCall
from gemma4_client.errors import from_wire
from gemma4_client.retry import Guard
from gemma4_client.wire import INPUT_TYPES, build_request, read_delta
from gemma4_runtime.contract.inputs import INPUTS
from gemma4_runtime.messages import Chunk, Segment, ToolCall
from gemma4_runtime.output.render import pack, render
from tritonclient.grpc import service_pb2
from tritonclient.grpc.service_pb2 import ModelStreamInferResponse


def response(index: int, finish: str = "", text: str = "x") -> ModelStreamInferResponse:
    message = service_pb2.ModelStreamInferResponse()
    out = message.infer_response
    out.outputs.add(name="packed", datatype="UINT8")
    chunk = Chunk("k", index, [7, 8], [Segment("content", text.encode())], finish_reason=finish,
                  prompt_tokens=3, completion_tokens=index + 1)  # fmt: skip
    out.raw_output_contents.append(pack(render(chunk)))
    out.parameters["triton_final_response"].bool_param = bool(finish)
    return message


class Call(list[Any]):
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


def stream_of(call: Call) -> Stream:
    return Stream(lambda _: GrpcCall(call), Guard(None, None))


def test_inputs_are_the_models() -> None:
    kinds = {"STRING": "BYTES"}
    assert {i.name: kinds.get(i.dtype, i.dtype) for i in INPUTS} == INPUT_TYPES


def test_request_form() -> None:
    request = build_request(
        {"text_input": "hé", "stop_words": ["a", "b"], "top_k": None, "temperature": 0.5},
        request_id="r",
    )
    assert [(t.name, t.datatype, list(t.shape)) for t in request.inputs] == [
        ("text_input", "BYTES", [1, 1]),
        ("stop_words", "BYTES", [1, 2]),
        ("temperature", "FP32", [1, 1]),
    ]
    assert request.raw_input_contents[0] == b"\x03\x00\x00\x00h\xc3\xa9"
    assert request.id == "r"
    with pytest.raises(ValueError, match="no such option"):
        build_request({"tempreature": 1})
    with pytest.raises(ValueError, match="max_tokens='x'"):
        build_request({"max_tokens": "x"})


def test_delta() -> None:
    delta = read_delta(response(0, "stop", "龙").infer_response)
    assert delta is not None
    assert (delta.text, delta.finish_reason, delta.ids, delta.timings) == (
        "龙",
        "stop",
        [7, 8],
        None,
    )


def test_every_value_of_a_chunk_arrives() -> None:
    chunk = Chunk(
        "k", 5, [1, 2], [Segment("reasoning", b"hm"), Segment("content", b"\xe6\xff")],
        [ToolCall("c", "f", '{"a": "\u9f99"}')], "tool_calls", 3, 9, [-0.5, -1.25], -1.75,
        {"queue": 0.5},
    )  # fmt: skip
    message = service_pb2.ModelInferResponse(raw_output_contents=[pack(render(chunk))])
    message.outputs.add(name="packed", datatype="UINT8")
    call = {"name": "f", "arguments": '{"a": "\u9f99"}'}
    assert read_delta(message) == Delta(
        "\ufffd\ufffd", "hm", [{"id": "c", "type": "function", "function": call}], "tool_calls", 5, 3, 9,
        [1, 2], [-0.5, -1.25], {"queue": 0.5}, -1.75,
    )  # fmt: skip


def test_a_response_without_outputs_is_no_chunk() -> None:
    assert read_delta(service_pb2.ModelInferResponse()) is None


def test_a_whole_stream() -> None:
    call = Call([response(0), response(1), response(2, "stop")])
    answer = stream_of(call).result()
    assert (answer.text, answer.completion_tokens, answer.finish_reason) == ("xxx", 3, "stop")
    assert call.cancelled


@pytest.mark.parametrize(
    "replies",
    [
        [response(1)],
        [response(0), response(2, "stop")],
        [response(0), response(0)],
        [response(0)],
        [],
    ],
    ids=["late start", "gap", "doubled", "cut off", "nothing"],
)
def test_disorder_is_an_error(replies: list[Any]) -> None:
    with pytest.raises(StreamOrderError):
        stream_of(Call(replies)).result()


def test_errors() -> None:
    failed = service_pb2.ModelStreamInferResponse(
        error_message="in ensemble 'gemma4', INVALID_ARGUMENT: top_k: -1"
    )
    with pytest.raises(InvalidRequestError, match="top_k: -1"):
        stream_of(Call([response(0), failed])).result()
    assert isinstance(from_wire("UNAVAILABLE: full"), UnavailableError)


def test_no_server() -> None:
    with Client("127.0.0.1:1") as client:
        assert not client.ready(timeout=0.5)
        with pytest.raises(UnavailableError):
            client.chat([{"role": "user", "content": "x"}], timeout=60).result()
