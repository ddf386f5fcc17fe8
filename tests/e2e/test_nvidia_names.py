"""Clients written for NVIDIA's ensemble: two tensors of shape [1, 1], and nothing of ours."""

from __future__ import annotations

import json
import queue
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from gemma4_testing.repository import ROOT
from gemma4_testing.servers.served import Served

PROMPT = "<|turn>user\nWhat is the capital of France?<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"


def two_tensors(**more: Any) -> list[triton.InferInput]:
    text = triton.InferInput("text_input", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[PROMPT.encode()]], dtype=object))
    most = triton.InferInput("max_tokens", [1, 1], "INT32")
    most.set_data_from_numpy(np.array([[64]], dtype=np.int32))
    tensors = [text, most]
    for name, value in more.items():
        tensors.append(triton.InferInput(name, [1, 1], "BOOL"))
        tensors[-1].set_data_from_numpy(np.array([[value]]))
    return tensors


def streamed(server: Served, tensors: list[triton.InferInput], *, empty_final: bool) -> list[Any]:
    """Responses of one stream, up to its end. ``empty_final`` as tritonclient names it."""
    replies: Any = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        client.start_stream(lambda result, error: replies.put(error or result))
        client.async_stream_infer("gemma4", tensors, enable_empty_final_response=empty_final)
        responses = []
        while True:
            reply = replies.get(timeout=30)
            assert not isinstance(reply, Exception), reply
            responses.append(reply)
            if empty_final:
                ended = reply.get_response().parameters["triton_final_response"].bool_param
            else:
                ended = reply.as_numpy("finish_reason")[0, 0] != b""
            if ended:
                client.stop_stream()
                break
    assert replies.empty()
    return responses


@pytest.mark.parametrize("empty_final", [False, True])
@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_grpc_streaming(server: Served, empty_final: bool, more: dict[str, bool]) -> None:
    responses = streamed(server, two_tensors(**more), empty_final=empty_final)
    full = [r for r in responses if r.get_response().outputs]
    text = b"".join(r.as_numpy("text_output")[0, 0] for r in full).decode()
    assert "Paris" in text
    assert full[0].as_numpy("text_output").shape == (1, 1)
    assert (len(full) > 1) == bool(more)
    assert len(responses) - len(full) <= (1 if empty_final else 0)


def test_http_generate(server: Served) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/gemma4/generate"
    body = json.dumps({"text_input": PROMPT, "max_tokens": 64}).encode()
    with urllib.request.urlopen(url, body, timeout=30) as reply:
        answer = json.loads(reply.read())
    assert "Paris" in answer["text_output"]


DOCUMENTED = {"max_tokens": 20, "bad_words": "", "stop_words": "", "pad_id": 2, "end_id": 2}
"""What the request in NVIDIA's documentation has beside its text."""


@pytest.mark.parametrize("model", ["gemma4", "gemma4_unary"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"top_p": 0, "temperature": 1},
        {"runtime_top_k": 1, "beam_width": 1, "num_return_sequences": 1, "length_penalty": 1.0},
        {"seed": 3, "temperature": 0, "return_perf_metrics": False, "end_id": 50256},
        {"early_stopping": True, "runtime_top_p_min": 0.0, "runtime_top_p_decay": 1.0,
         "beam_search_diversity_rate": 0.0, "no_repeat_ngram_size": 0, "prompt_vocab_size": 0},
        {"top_k": 1, "guided_decoding_guide_type": "ebnf_grammar",
         "guided_decoding_guide": 'root ::= "Paris"'},
    ],
)  # fmt: skip
def test_the_documented_request(server: Served, model: str, more: dict[str, Any]) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/{model}/generate"
    body = json.dumps({"text_input": PROMPT, **DOCUMENTED, **more}).encode()
    with urllib.request.urlopen(url, body, timeout=30) as reply:
        answer = json.loads(reply.read())
    assert "Paris" in answer["text_output"]


def post(url: str, body: Any) -> str:
    """The error of an answer that is not 200, or the answer."""
    request = urllib.request.Request(url, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return str(reply.read().decode())
    except urllib.error.HTTPError as error:
        return str(json.loads(error.read())["error"])


@pytest.mark.parametrize("model", ["gemma4", "gemma4_unary"])
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"temprature": 0.5}, "temprature: no such input; did you mean temperature?"),
        ({"max_new_tokens": 3}, "max_new_tokens: no such input; did you mean max_tokens?"),
        ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size: 2: use repetition_penalty"),
        ({"priority": 1}, "priority: 1: requests are served in the order in which they come"),
        ({"max_tokens": 1500, "min_tokens": 1400, "timeout": 20_000}, "DEADLINE_EXCEEDED"),
        ({"beam_width": 2}, "beam_width: 2: beam search is not offered"),
        ({"seed": 1, "random_seed": 2}, "seed: 1 is not 2, as random_seed says"),
    ],
)
def test_what_generate_cannot_do_is_named(
    server: Served, model: str, more: dict[str, Any], says: str
) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/{model}/generate"
    assert says in post(url, {"text_input": PROMPT, "max_tokens": 3, **more})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "request has 0 inputs"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "access JSON non-string as string"),
        ([1], "attempt to get members for non-object"),
        ({"text_input": "Hi", "max_tokens": "3"}, "non-signed-integer as signed-integer"),
        ({"text_input": "Hi", "x": {"y": 1}}, "parameter 'x' has invalid type"),
    ],
)
def test_what_triton_itself_says(server: Served, body: Any, says: str) -> None:
    """No model sees these; docs/errors.md explains the words."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert says in page
    assert says in post(f"http://127.0.0.1:{server.http}/v2/models/gemma4/generate", body)


def test_aliases(engines: Path, tmp_path: Path) -> None:
    served = Served(
        engines / "f32", tmp_path / "run", "--alias", "ensemble", "--alias", "tensorrt_llm_bls"
    )
    try:
        for name in ("ensemble", "tensorrt_llm_bls", "gemma4"):
            url = f"http://127.0.0.1:{served.http}/v2/models/{name}/generate"
            assert "Paris" in post(url, {"text_input": PROMPT, **DOCUMENTED, "top_k": 1})
            assert f"in ensemble '{name}', " in post(url, {"text_input": "", "max_tokens": 1})
    finally:
        assert served.stop() == 0, "".join(served.output[-30:])


def test_http_generate_stream(server: Served) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/gemma4/generate_stream"
    body = json.dumps({"text_input": PROMPT, "max_tokens": 64, "stream": True}).encode()
    with urllib.request.urlopen(url, body, timeout=30) as reply:
        lines = [line for line in reply.read().decode().splitlines() if line]
    assert len(lines) > 1
    assert "Paris" in "".join(json.loads(line[6:])["text_output"] for line in lines)


def test_tokenizer_model(server: Served) -> None:
    url = f"http://127.0.0.1:{server.http}/v2/models/gemma4_tokenizer/generate"
    with urllib.request.urlopen(url, json.dumps({"text": "Hello"}).encode(), timeout=30) as reply:
        answer = json.loads(reply.read())
    assert answer["token_bytes"] == ["<bos>", "Hello"]
    assert json.loads(answer["engine"])["runtime"] == "llama_cpp"
