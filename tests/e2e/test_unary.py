"""Plain unary calls through `gemma4_unary`: gRPC ModelInfer and HTTP infer."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from tritonclient.utils import InferenceServerException

CANCEL_S = 0.5


def tensors(module: ModuleType, **values: Any) -> list[Any]:
    made = []
    for name, (dtype, value) in values.items():
        kind = {"BYTES": np.object_, "INT32": np.int32, "BOOL": np.bool_, "INT64": np.int64}[dtype]
        tensor = module.InferInput(name, [1, 1], dtype)
        tensor.set_data_from_numpy(np.array([[value]], dtype=kind))
        made.append(tensor)
    return made


def asked(
    module: ModuleType, text: str = "What is the capital of France?", **more: Any
) -> list[Any]:
    messages = json.dumps(user(text)).encode()
    return tensors(module, messages=("BYTES", messages), **more)


@pytest.fixture
def grpc_client(server: Served) -> Iterator[tritonclient.grpc.InferenceServerClient]:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        yield client


GREEDY: dict[str, Any] = {"top_k": ("INT32", 1)}


@pytest.mark.parametrize("module", [tritonclient.grpc, tritonclient.http])
def test_the_answer_equals_the_stream(server: Served, module: ModuleType) -> None:
    with server.client() as ours:
        expected = ours.chat(user("What is the capital of France?"), top_k=1).result()
    port = server.grpc if module is tritonclient.grpc else server.http
    with module.InferenceServerClient(f"127.0.0.1:{port}") as client:
        result = client.infer("gemma4_unary", asked(module, **GREEDY))
    assert result.as_numpy("text_output")[0, 0].decode() == expected.text
    assert result.as_numpy("completion_tokens")[0, 0] == expected.completion_tokens
    assert result.as_numpy("finish_reason")[0, 0] == b"stop"


def test_a_prompt_alone_is_enough(grpc_client: tritonclient.grpc.InferenceServerClient) -> None:
    """NVIDIA's tensor names, two inputs, as their clients send them."""
    inputs = tensors(
        tritonclient.grpc, text_input=("BYTES", b"Hello"), max_tokens=("INT32", 3),
        stream=("BOOL", False),
    )  # fmt: skip
    result = grpc_client.infer("gemma4_unary", inputs)
    assert result.as_numpy("completion_tokens")[0, 0] in (1, 2, 3)


def test_more_calls_than_instances_are_all_answered(server: Served) -> None:
    def one(index: int) -> bytes:
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
            result = client.infer("gemma4_unary", asked(tritonclient.grpc, **GREEDY))
            found: bytes = result.as_numpy("text_output")[0, 0]
            return found

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(one, range(16)))) == 1


@pytest.mark.parametrize(
    ("inputs", "status", "says"),
    [
        ({"stream": ("BOOL", True)}, "StatusCode.INVALID_ARGUMENT", "stream: gemma4_unary"),
        ({"max_tokens": ("INT32", 0)}, "StatusCode.INVALID_ARGUMENT", "max_tokens"),
        ({"timeout_ms": ("INT64", 100), "min_tokens": ("INT32", 1900),
          "max_tokens": ("INT32", 1900)}, "StatusCode.CANCELLED", "DEADLINE_EXCEEDED: [deadline_exceeded] timeout_ms"),
    ],
)  # fmt: skip
def test_errors_keep_their_status(
    grpc_client: tritonclient.grpc.InferenceServerClient,
    inputs: dict[str, Any],
    status: str,
    says: str,
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        grpc_client.infer("gemma4_unary", asked(tritonclient.grpc, **inputs))
    assert caught.value.status() == status
    assert says in caught.value.message()


LONG: dict[str, Any] = {"min_tokens": ("INT32", 1900), "max_tokens": ("INT32", 1900)}


def test_a_cancelled_call_frees_the_slot(
    server: Served, grpc_client: tritonclient.grpc.InferenceServerClient
) -> None:
    done = []
    call = grpc_client.async_infer(
        "gemma4_unary", asked(tritonclient.grpc, **LONG), lambda result, error: done.append(error)
    )
    wait_until(lambda: server.board()[Field.ACTIVE] == 1, 5)
    call.cancel()
    wait_until(server.idle, CANCEL_S)
    wait_until(lambda: bool(done), 5)
    assert done[0] is not None


def test_a_client_deadline_frees_the_slot(
    server: Served, grpc_client: tritonclient.grpc.InferenceServerClient
) -> None:
    with pytest.raises(InferenceServerException, match="Deadline Exceeded"):
        grpc_client.infer("gemma4_unary", asked(tritonclient.grpc, **LONG), client_timeout=0.5)
    wait_until(server.idle, CANCEL_S)


def generate(server: Served, model: str, **inputs: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.http}/v2/models/{model}/generate"
    with urllib.request.urlopen(url, json.dumps(inputs).encode(), timeout=60) as reply:
        found: dict[str, Any] = json.loads(reply.read())
        return found


@pytest.mark.parametrize("count", [1, 3])
def test_generate_writes_a_lone_value_without_its_list(server: Served, count: int) -> None:
    """docs/serving.md says so; it is Triton's doing."""
    ids = {"text_input": "Hello", "max_tokens": count, "temperature": 0, "return_log_probs": True}
    found = generate(server, "gemma4", **ids)
    for name, kind in (("output_ids", int), ("output_log_probs", float)):
        value = found[name]
        assert isinstance(value, kind) if count == 1 else len(value) == count
    assert "output_log_probs" not in generate(server, "gemma4", text_input="Hello", max_tokens=2)


@pytest.mark.parametrize(("text", "lists"), [("a", False), ("Hello there", True)])
def test_generate_of_the_tokenizer_does_too(server: Served, text: str, lists: bool) -> None:
    found = generate(server, "gemma4_tokenizer", text=text, add_bos=False)
    assert isinstance(found["token_ids"], list) == isinstance(found["token_bytes"], list) == lists
    assert set(generate(server, "gemma4_tokenizer", token_ids=[])) == {
        "model_name", "model_version", "text", "engine",
    }  # fmt: skip


def test_the_first_chunk_of_an_echo_may_be_the_prompt_alone(server: Served) -> None:
    inputs = {"text_input": "Hello", "max_tokens": 3, "exclude_input_in_output": False}
    with server.client() as client:
        deltas = list(client.generate("Hello", max_tokens=3, exclude_input_in_output=False))
    assert deltas[0].text.startswith("Hello")
    assert deltas[0].completion_tokens == len(deltas[0].ids)
    whole = generate(server, "gemma4", temperature=0, **inputs)
    assert whole["text_output"].startswith("Hello") and len(whole["output_ids"]) == 3
