"""The engine called directly, as our client does, beside the ensemble gemma4: equal answers, equal
guarantees."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from gemma4_client.wire import build_request, read_delta
from gemma4_runtime.errors import Code, parse_wire
from gemma4_runtime.messages import GenerationRequest, SamplingParams, encode
from gemma4_runtime.output.render import ChunkText
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2_grpc
from tritonclient.grpc.service_pb2 import ModelInferResponse
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

CANCEL_S = 0.5
LONG = {"min_tokens": 1900, "max_tokens": 1900}


@pytest.fixture
def stub(server: Served) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def chat(text: str, **options: Any) -> dict[str, Any]:
    return {"messages": json.dumps(user(text)), "temperature": 0.0, **options}


def responses(
    stub: GRPCInferenceServiceStub, model: str, inputs: dict[str, Any]
) -> Iterator[ModelInferResponse]:
    for message in stub.ModelStreamInfer(iter([build_request(inputs, model=model)]), timeout=60):
        assert not message.error_message, message.error_message
        yield message.infer_response


def by_tensor(response: ModelInferResponse) -> dict[str, Any]:
    """Values of a response of gemma4, as the packed one names them."""
    kinds = {"INT32": "i", "FP32": "f"}
    values = {}
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.datatype == "BYTES":
            values[output.name] = data[4:].decode()
        else:
            many = struct.unpack(f"<{len(data) // 4}{kinds[output.datatype]}", data)
            values[output.name] = list(many) if output.name.startswith("output_") else many[0]
    return values


TOP = {"return_log_probs": True, "top_logprobs": 3}


@pytest.mark.parametrize("more", [{"enable_thinking": True}, {"return_log_probs": True}, TOP])
def test_the_same_values_in_one_tensor(
    stub: GRPCInferenceServiceStub, more: dict[str, Any]
) -> None:
    inputs = chat("What is the capital of Italy?", **more)
    (plain,) = [by_tensor(r) for r in responses(stub, "gemma4", inputs)]
    (packed,) = [json.loads(r.raw_output_contents[0]) for r in responses(stub, "engine", inputs) if r.outputs]  # fmt: skip
    # docs/serving.md: packed alone has them
    extra = {"reasoning_tokens", "text_tokens", "top_log_probs", "stop_reason"}
    unasked = set() if "return_log_probs" in more else {"output_log_probs"}
    assert set(plain) == set(ChunkText.__struct_fields__) - extra - unasked
    plain.setdefault("output_log_probs", [])
    assert bool(packed.pop("reasoning_tokens", 0)) == bool(plain["reasoning_output"])
    assert bool(packed.pop("text_tokens", [])) == bool(plain["output_log_probs"])
    top = packed.pop("top_log_probs", [])
    assert bool(top) == ("top_logprobs" in more)
    for rank in zip(*top, strict=True):  # rows in the tensors
        packed["output_ids"] += [token for token, _ in rank]
        packed["output_log_probs"] += [log_prob for _, log_prob in rank]
    told = {name for name, value in plain.items() if value not in ("", 0, 0.0, [])}
    assert told <= set(packed) <= set(plain)
    for name in set(packed) - {"timings", "output_log_probs", "cum_log_probs"}:
        assert packed[name] == plain[name]
    for name in ("output_log_probs", "cum_log_probs"):
        assert packed.get(name, plain[name]) == pytest.approx(plain[name], rel=1e-6)


@pytest.mark.parametrize("model", ["gemma4", "engine"])
@pytest.mark.parametrize("stream", [True, False])
def test_a_cancel_frees_the_slot(
    server: Served, stub: GRPCInferenceServiceStub, model: str, stream: bool
) -> None:
    request = build_request(chat("Count", stream=stream, **LONG), model=model)
    call = stub.ModelStreamInfer(iter([request]), timeout=60)
    if stream:
        next(iter(call))
    wait_until(lambda: server.board()[Field.ACTIVE] == 1, 5)
    call.cancel()
    wait_until(server.idle, CANCEL_S)


def test_no_response_is_a_probe(stub: GRPCInferenceServiceStub) -> None:
    """1900 tokens take more than a second and are sent at once: gemma4 sends probes before."""
    found = list(responses(stub, "engine", chat("Count", **LONG)))
    deltas = [read_delta(response) for response in found if response.outputs]
    assert [d.completion_tokens for d in deltas] == [1900]  # type: ignore[union-attr]
    assert len(found) - len(deltas) <= 1  # the final flag may come alone


def wrong(stub: GRPCInferenceServiceStub, model: str, inputs: dict[str, Any]) -> str:
    """The error of a request, without the name of the ensemble."""
    (message,) = stub.ModelStreamInfer(iter([build_request(inputs, model=model)]), timeout=60)
    found: str = message.error_message.removeprefix("in ensemble 'gemma4', ")
    return found


@pytest.mark.parametrize(
    "inputs",
    [
        {"messages": "[]"},
        {"text_input": "x", "messages": json.dumps(user("x"))},
        {"text_input": "x", "max_tokens": 0},
        {"text_input": "x", "temperature": float("nan")},
        {"max_tokens": 4},
    ],
)
def test_the_same_refusals(stub: GRPCInferenceServiceStub, inputs: dict[str, Any]) -> None:
    direct = wrong(stub, "engine", inputs)
    assert direct.startswith("INVALID_ARGUMENT: ")
    assert direct == wrong(stub, "gemma4", inputs)


@pytest.mark.parametrize("start", [b"", b"\0" * 16])
def test_a_request_that_preprocessing_did_not_make(
    server: Served, stub: GRPCInferenceServiceStub, start: bytes
) -> None:
    """Its ids could be beyond the vocabulary."""
    made = GenerationRequest(
        key="mine", input_ids=[2**31 - 1], sampling=SamplingParams(max_tokens=4)
    )
    request = build_request({}, model="engine")
    data = start + encode(made)
    request.inputs.add(name="request", datatype="UINT8", shape=[1, len(data)])
    request.raw_input_contents.append(data)
    (message,) = stub.ModelStreamInfer(iter([request]), timeout=60)
    error = parse_wire(message.error_message)
    assert error is not None and error.code == Code.RESERVED_INPUT
    wait_until(server.idle, 1)


def test_the_id_of_a_direct_request_is_logged(
    server: Served, stub: GRPCInferenceServiceStub
) -> None:
    request = build_request(
        {"text_input": "x", "max_tokens": 2}, model="engine", request_id="dir-7"
    )
    (*_, last) = stub.ModelStreamInfer(iter([request]), timeout=60)
    assert not last.error_message
    wait_until(lambda: '"dir-7"' in server.text, 5)
