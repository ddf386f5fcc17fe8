"""gemma4_client on a real server: both protocols, both clients, streamed or not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from gemma4_client import (
    Cache,
    CancelledError,
    Client,
    DeadlineExceededError,
    InvalidRequestError,
    ResponseFormatError,
)
from gemma4_runtime.server.board import Field
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from pydantic import BaseModel

CANCEL_S = 0.5
LONG: dict[str, Any] = {"min_tokens": 1900, "max_tokens": 1900}
ASK = "What is the capital of France?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture(params=PROTOCOLS)
def url(server: Served, request: pytest.FixtureRequest) -> str:
    port = server.grpc if request.param == "grpc" else server.http
    return f"{request.param}://127.0.0.1:{port}"


@pytest.fixture(params=KINDS)
def client(url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    with client_of(request.param, url) as made:
        yield made


def test_streamed_equals_whole(client: Any, server: Served) -> None:
    stream = client.chat(ASK, top_k=1, return_log_probs=True)
    deltas = list(stream)
    whole = client.chat(user(ASK), top_k=1, return_log_probs=True, stream=False)
    assert len(list(whole)) == 1
    assert "".join(d.text for d in deltas) == stream.answer.text == whole.answer.text
    assert "Paris" in whole.answer.text
    assert stream.answer.ids == whole.answer.ids
    assert len(whole.answer.log_probs) == len(whole.answer.ids) == whole.answer.completion_tokens
    assert sum(whole.answer.log_probs) == pytest.approx(whole.answer.cum_log_prob, abs=1e-4)
    for answer in (stream.answer, whole.answer):
        assert {"queue", "prefill", "decode", "ttft", "total"} <= set(answer.timings)
        assert answer.timings["prefill"] < answer.timings["ttft"] <= answer.timings["total"]


def test_thoughts_tools_and_raw_prompts(client: Any) -> None:
    thinking = client.chat("What is 7 + 8?", enable_thinking=True, top_k=1).result()
    assert thinking.reasoning and "15" in thinking.text
    called = client.chat("What is the weather in Paris?", tools=[WEATHER], top_k=1).result()
    assert called.finish_reason == "tool_calls"
    assert called.tool_calls[0]["function"]["name"] == "get_weather"
    next_turn = [
        *user("What is the weather in Paris?"),
        called.as_message(),
        {"role": "tool", "tool_call_id": called.tool_calls[0]["id"], "content": '{"t": 21}'},
    ]
    assert client.chat(next_turn, tools=[WEATHER], top_k=1).result().text
    raw = client.generate("Hello", max_tokens=3, exclude_input_in_output=False).result()
    assert raw.text.startswith("Hello")


class City(BaseModel):
    kind: Literal["town", "city"]
    big: bool


def test_guides(client: Any) -> None:
    assert client.chat(ASK, regex="[ab]{3}").result().text in {
        a + b + c for a in "ab" for b in "ab" for c in "ab"
    }
    answer = client.chat(ASK, response_model=City, max_tokens=60, top_k=1).result()
    assert isinstance(answer.parsed, City)
    with pytest.raises(ResponseFormatError, match="max_tokens cut it off"):
        client.chat(ASK, response_model=City, max_tokens=2).result()


def test_errors_name_the_field(client: Any) -> None:
    for stream in (True, False):
        with pytest.raises(InvalidRequestError, match=r"^max_tokens: 0 must be at least 1$"):
            client.chat("x", max_tokens=0, stream=stream).result()
    with pytest.raises(InvalidRequestError, match="role"):
        client.chat([{"role": "root", "content": "x"}]).result()


def test_tokens(client: Any) -> None:
    tokens = client.tokenize("Hello 🙂")
    assert tokens.text == "<bos>Hello 🙂"
    assert b"".join(tokens.token_bytes).decode() == tokens.text
    assert client.detokenize(tokens.ids) == tokens
    assert len(client.tokenize("Hello", add_bos=False)) == len(client.tokenize("Hello")) - 1
    chat = client.tokenize(ASK, chat=True)
    assert client.chat(ASK, max_tokens=1).result().prompt_tokens == len(chat)
    info = client.server_info()
    assert (info.runtime, info.precision, info.max_total_tokens) == ("llama_cpp", "f32", 2048)
    assert info.refusal == "" and client.models_ready() and client.ready()
    with pytest.raises(InvalidRequestError, match="token_ids: 99999999 is not in 0"):
        client.detokenize([99999999])


def test_map(client: Any) -> None:
    prompts = [f"What is {a} + {b}?" for a in (3, 7) for b in (2, 5, 8)]
    answers = client.map(prompts, concurrency=4, top_k=1)
    assert [a.text for a in answers] == [client.chat(p, top_k=1).result().text for p in prompts]


def test_leaving_early_frees_the_slot(client: Any, server: Served) -> None:
    for _ in client.chat("x", **LONG):
        break
    wait_until(server.idle, CANCEL_S)
    with client.chat("x", **LONG) as stream:
        for _ in stream:
            break
    wait_until(server.idle, CANCEL_S)


def test_a_deadline_frees_the_slot(client: Any, server: Served) -> None:
    for stream in (True, False):
        with pytest.raises(DeadlineExceededError):
            client.chat("x", timeout=0.3, stream=stream, **LONG).result()
        wait_until(server.idle, CANCEL_S)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cancel_from_another_thread_frees_the_slot(server: Served, protocol: str) -> None:
    with Client(f"{protocol}://127.0.0.1:{getattr(server, protocol)}") as client:
        stream = client.chat("Count", **LONG)
        caught = []

        def read() -> None:
            with pytest.raises(CancelledError) as error:
                stream.result()
            caught.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        wait_until(lambda: server.board()[Field.ACTIVE] == 1 and stream.answer.text != "", 5)
        stream.cancel()
        wait_until(server.idle, CANCEL_S)
        reader.join(5)
        assert caught


def test_a_dropped_stream_and_a_closed_client_free_the_slot(url: str, server: Served) -> None:
    with Client(url) as client:
        stream = client.chat("x", **LONG)
        iterator = iter(stream)
        next(iterator)
        del stream, iterator
        wait_until(server.idle, CANCEL_S)
        stream = client.chat("x", **LONG)
        iterator = iter(stream)
        next(iterator)
    wait_until(server.idle, CANCEL_S)
    with pytest.raises(CancelledError):
        list(iterator)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_answer(url: str, server: Served, kind: str, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with client_of(kind, url, cache=cache) as client:
        first = client.chat(ASK, top_k=1)
        chunks = [d.text for d in first]
        accepted = server.counted(Field.ACCEPTED)
        again = client.chat(ASK, top_k=1)
        assert [d.text for d in again] == chunks
        assert again.answer.cached and not first.answer.cached
        assert (again.answer.text, again.answer.ids) == (first.answer.text, first.answer.ids)
        assert (cache.hits, cache.misses, len(cache)) == (1, 1, 1)
        assert server.counted(Field.ACCEPTED) == accepted
        client.chat(ASK, temperature=1.0).result()
        for _ in client.chat("Count from 1 to 50", top_k=1):
            break  # half an answer is not kept
        assert (cache.hits, len(cache)) == (1, 1)
    cache.close()
