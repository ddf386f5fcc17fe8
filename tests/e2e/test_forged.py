"""A client calls the inner steps: what it got from one, what it made up, what it changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from gemma4_client.transport.grpc_wire import message_delta
from gemma4_client.wire import build_request
from gemma4_runtime.errors import Code, parse_wire
from gemma4_runtime.messages import Chunk, GenerationRequest, SamplingParams, encode
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelStreamInferResponse
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

LONG = {"min_tokens": 1900, "max_tokens": 1900}


@pytest.fixture
def stub(server: Served) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def bytes_request(model: str, name: str, data: bytes) -> ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name=name, datatype="UINT8", shape=[1, len(data)])
    request.raw_input_contents.append(data)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def ask(
    stub: GRPCInferenceServiceStub, request: ModelInferRequest
) -> list[ModelStreamInferResponse]:
    return list(stub.ModelStreamInfer(iter([request]), timeout=60))


def sealed_request(stub: GRPCInferenceServiceStub, **options: Any) -> bytes:
    """What preprocessing answers to a client that calls it."""
    inputs = {"messages": json.dumps(user("Count")), "temperature": 0.0, **options}
    answer = stub.ModelInfer(build_request(inputs, model="preprocessing"), timeout=60)
    return answer.raw_output_contents[0]


def refusal(message: ModelStreamInferResponse) -> tuple[str, str | None]:
    """Return the code and the field of an error."""
    error = parse_wire(message.error_message)
    assert error is not None, message.error_message
    return error.code, error.field


def answers(messages: list[ModelStreamInferResponse]) -> list[bytes]:
    """Of a whole stream without errors: the contents of its responses."""
    for message in messages:
        assert not message.error_message
    final = messages[-1].infer_response
    assert final.parameters["triton_final_response"].bool_param
    return [m.infer_response.raw_output_contents[0] for m in messages if m.infer_response.outputs]


def test_a_word_from_preprocessing_makes_no_other_request(
    server: Served, stub: GRPCInferenceServiceStub
) -> None:
    """What it seals is one message, to the last bit: not the ids, not the limits, not the key."""
    sealed = sealed_request(stub, max_tokens=3)
    made = encode(
        GenerationRequest(
            key="mine", input_ids=[2**31 - 1] * 4, sampling=SamplingParams(max_tokens=2**40)
        )
    )
    forged = [sealed[:16] + made, sealed[:8] + made, made, sealed[:-1], sealed + b"\0", sealed[:16]]
    forged += [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(0, len(sealed), 7)]  # fmt: skip
    for data in forged:
        (message,) = ask(stub, bytes_request("engine", "request", data))
        assert refusal(message) == (Code.RESERVED_INPUT, "request")
    wait_until(server.idle, 1)


def test_a_request_sent_again_is_only_itself(
    server: Served, stub: GRPCInferenceServiceStub
) -> None:
    """It runs again, as the client could have asked again; while it runs it is refused."""
    sealed = sealed_request(stub, max_tokens=3)
    first, second = (answers(ask(stub, bytes_request("engine", "request", sealed))) for _ in "12")
    assert first and second
    wait_until(server.idle, 1)
    long = bytes_request("engine", "request", sealed_request(stub, stream=True, **LONG))
    running = stub.ModelStreamInfer(iter([long]), timeout=60)
    next(iter(running))
    (message,) = ask(stub, long)
    assert refusal(message) == (Code.DUPLICATE_REQUEST, "request")
    assert server.board()[Field.IN_FLIGHT] == 1
    assert sum(1 for _ in running) > 10
    wait_until(server.idle, 1)


def test_a_forged_chunk_cancels_and_counts_nothing(
    server: Served, stub: GRPCInferenceServiceStub
) -> None:
    long = {"messages": json.dumps(user("Count")), "stream": True, "temperature": 0.0, **LONG}
    running = stub.ModelStreamInfer(iter([build_request(long, model="engine")]), timeout=60)
    next(iter(running))
    before = server.board()[Field.CHUNKS_HANDLED]
    forged = [b"", b"\0", b"\xff" * 100, bytes(16) + encode(Chunk(key="k", index=0, check=True)),
              b"/path", encode(Chunk(key="k", index=0, probe=True))]  # fmt: skip
    for data in forged:
        for message in ask(stub, bytes_request("postprocessing", "chunk", data)):
            assert refusal(message) == (Code.RESERVED_INPUT, "chunk")
            assert "At:" not in message.error_message and "/" not in message.error_message
    assert server.board()[Field.CHUNKS_HANDLED] == before
    *_, last = (delta for delta in map(message_delta, running) if delta is not None)
    assert (last.finish_reason, last.completion_tokens) == ("length", LONG["max_tokens"])


def test_chunks_sent_again_do_not_hurry_the_others(
    server: Served, stub: GRPCInferenceServiceStub
) -> None:
    """The client of a sealed request has its chunks, and can give them to postprocessing."""
    sealed = sealed_request(stub, max_tokens=3)
    chunks = answers(ask(stub, bytes_request("engine", "request", sealed)))
    for _ in range(50):
        for chunk in chunks:
            assert not ask(stub, bytes_request("postprocessing", "chunk", chunk))[0].error_message
    whole = answers(ask(stub, build_request({"text_input": "x", "max_tokens": 3}, model="gemma4")))
    assert whole
    wait_until(server.idle, 1)


@pytest.mark.parametrize("model", ["gemma4", "engine", "preprocessing"])
@pytest.mark.parametrize("value", ["", "0" * 32, "0" * 64, "x", "\0", 7, True, 1.5])
def test_no_client_chooses_the_key_of_its_request(
    server: Served, stub: GRPCInferenceServiceStub, model: str, value: bool | float | str
) -> None:
    request = build_request({"text_input": "x", "max_tokens": 2}, model=model)
    kind = {str: "string", int: "int64", bool: "bool", float: "double"}[type(value)] + "_param"
    setattr(request.parameters["gemma4_key"], kind, value)
    (message,) = ask(stub, request)
    assert refusal(message) == (Code.RESERVED_INPUT, "gemma4_key")
    wait_until(server.idle, 1)


@pytest.mark.parametrize("model", ["gemma4", "preprocessing", "gemma4_unary"])
def test_only_the_engine_has_feeds(
    server: Served, stub: GRPCInferenceServiceStub, model: str
) -> None:
    request = build_request({"text_input": "x", "max_tokens": 2}, model=model, feed="0" * 32 + "/1")
    (message,) = ask(stub, request)
    assert refusal(message) == (Code.CONFLICTING_INPUTS, "gemma4_feed")
    wait_until(server.idle, 1)


@pytest.mark.parametrize("model", ["gemma4", "engine", "preprocessing", "gemma4_unary"])
def test_ids_have_a_bound(server: Served, stub: GRPCInferenceServiceStub, model: str) -> None:
    for size, fine in ((1024, True), (1025, False), (2**20, False)):
        request = build_request({"text_input": "x", "max_tokens": 2}, model=model, request_id="i" * size)  # fmt: skip
        messages = ask(stub, request)
        assert (not messages[0].error_message) == fine
        if not fine:
            assert refusal(messages[0]) == (Code.INPUT_TOO_LARGE, "id")
    wait_until(server.idle, 1)
