"""What plain HTTP clients get."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema
import pytest
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway, chat
from gemma4_testing.servers.served import Served, user


def events(reply: httpx.Response) -> list[Any]:
    lines = reply.text.splitlines()
    assert all(line == "" or line.startswith("data: ") for line in lines)
    data = [line[6:] for line in lines if line]
    assert data[-1] == "[DONE]"
    return [json.loads(item) for item in data[:-1]]


def test_models(http: httpx.Client, server: Served) -> None:
    listed = http.get("/v1/models").json()["data"]
    assert [m["id"] for m in listed] == [MODEL]
    assert listed[0]["max_model_len"] == 2048
    assert http.get(f"/v1/models/{MODEL}").json() == listed[0]


def test_streamed_equals_whole(http: httpx.Client) -> None:
    body = chat("Count from 1 to 30")
    whole = http.post("/v1/chat/completions", json=body).json()
    streamed = http.post(
        "/v1/chat/completions",
        json=body | {"stream": True, "stream_options": {"include_usage": True}},
    )
    assert streamed.headers["content-type"].startswith("text/event-stream")
    chunks = events(streamed)
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    text = "".join(d.get("content", "") for d in deltas)
    assert text == whole["choices"][0]["message"]["content"]
    finishes = [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]]
    assert finishes == [None] * (len(finishes) - 1) + ["stop"]
    usage = {k: whole["usage"][k] for k in ("prompt_tokens", "completion_tokens", "total_tokens")}
    assert chunks[-1]["choices"] == []
    assert usage.items() <= chunks[-1]["usage"].items()
    assert all(c["usage"] is None for c in chunks[:-1])


def test_thoughts_come_apart_and_may_come_back(http: httpx.Client) -> None:
    body = chat("What is the capital of Italy?", reasoning_effort="low")
    whole = http.post("/v1/chat/completions", json=body).json()
    message = whole["choices"][0]["message"]
    assert message["reasoning_content"] and "Rome" in message["content"]
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    assert (
        whole["usage"]["completion_tokens_details"]["reasoning_tokens"]
        < whole["usage"]["completion_tokens"]
    )
    chunks = events(http.post("/v1/chat/completions", json=body | {"stream": True}))
    deltas = [c["choices"][0]["delta"] for c in chunks]
    assert "".join(d.get("reasoning_content", "") for d in deltas) == message["reasoning_content"]
    assert "".join(d.get("content", "") for d in deltas) == message["content"]
    again = chat() | {"messages": [*body["messages"], message, *user("Hello")]}
    assert http.post("/v1/chat/completions", json=again).status_code == 200


def test_choices_have_seeds_of_their_own(http: httpx.Client) -> None:
    body = chat("Tell me a long story", n=3, seed=7, max_tokens=20) | {"temperature": 3.0}
    many = http.post("/v1/chat/completions", json=body).json()
    texts = [c["message"]["content"] for c in many["choices"]]
    assert [c["index"] for c in many["choices"]] == [0, 1, 2]
    second = http.post("/v1/chat/completions", json=body | {"n": 1, "seed": 8}).json()
    assert texts[1] == second["choices"][0]["message"]["content"] != texts[0]
    assert many["usage"]["prompt_tokens"] == second["usage"]["prompt_tokens"]
    streamed = events(http.post("/v1/chat/completions", json=body | {"stream": True}))
    joined = ["", "", ""]
    for chunk in streamed:
        choice = chunk["choices"][0]
        joined[choice["index"]] += choice["delta"].get("content", "")
    assert joined == texts


def test_completions_of_several_prompts(http: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": ["1 2 3", "4 5 6"], "n": 2, "max_tokens": 4, "temperature": 0}
    many = http.post("/v1/completions", json=body | {"logprobs": 0, "seed": 1}).json()
    assert [c["index"] for c in many["choices"]] == [0, 1, 2, 3]
    texts = [c["text"] for c in many["choices"]]
    assert texts[0] == texts[1] and texts[2] == texts[3] and texts[0] != texts[2]
    assert "".join(many["choices"][0]["logprobs"]["tokens"]) == texts[0]
    assert many["usage"]["completion_tokens"] == 16
    echoed = http.post("/v1/completions", json=body | {"prompt": "1 2 3", "n": 1, "echo": True})
    assert echoed.json()["choices"][0]["text"] == "1 2 3" + texts[0]
    streamed = events(http.post("/v1/completions", json=body | {"stream": True}))
    joined = ["", "", "", ""]
    for chunk in streamed:
        joined[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert joined == texts


def test_log_probs_are_those_of_the_text(http: httpx.Client) -> None:
    body = chat("Count from 1 to 20", logprobs=True, stop=["5 6"])
    whole = http.post("/v1/chat/completions", json=body).json()["choices"][0]
    content = whole["logprobs"]["content"]
    spelled = b"".join(bytes(t["bytes"]) for t in content).decode()
    assert spelled == whole["message"]["content"]
    assert all(t["logprob"] <= 1e-6 for t in content)
    chunks = events(http.post("/v1/chat/completions", json=body | {"stream": True}))
    parts = [c["choices"][0]["logprobs"] for c in chunks]
    tokens = [t["token"] for p in parts if p for t in p["content"]]
    assert tokens == [t["token"] for t in content]


def test_stops_and_a_bias_by_token_id(http: httpx.Client) -> None:
    """vLLM's parameters and its stop_reason, for chats and completions, whole and streamed; and a
    bias that leaves one token."""
    keep = {"include_stop_str_in_output": True}

    def ask(path: str, body: dict[str, Any], **more: Any) -> tuple[str, str, Any]:
        """Text, finish reason and stop reason, which streams and whole answers agree on."""
        (whole,) = http.post(path, json=body | more).json()["choices"]
        chunks = events(http.post(path, json=body | more | {"stream": True}))
        parts = [c["choices"][0] for c in chunks]
        said = "".join(p.get("text") or p.get("delta", {}).get("content") or "" for p in parts)
        text = whole["text"] if "text" in whole else whole["message"]["content"]
        assert (said, parts[-1]["stop_reason"]) == (text, whole["stop_reason"])
        return text, whole["finish_reason"], whole["stop_reason"]

    found = http.post(
        "/tokenize", json={"model": MODEL, "prompt": "5", "add_special_tokens": False}
    ).json()
    (five,) = found["tokens"]
    for path, body in (
        ("/v1/chat/completions", chat("Count from 1 to 20", max_tokens=30)),
        ("/v1/completions", {"model": MODEL, "prompt": "1 2 3 4", "temperature": 0}),
    ):
        plain = ask(path, body)[0]
        head = plain[: plain.index("5")]
        assert ask(path, body, stop="5") == (head, "stop", "5")
        assert ask(path, body, stop=["5"], **keep) == (head + "5", "stop", "5")
        assert ask(path, body, stop_token_ids=[five]) == (head, "stop", five)
        assert ask(path, body, stop_token_ids=[five], **keep) == (head + "5", "stop", five)
        only = ask(path, body | {"max_tokens": 3}, logit_bias={str(five): 100})
        assert only == ("555", "length", None)
    refused = http.post("/v1/chat/completions", json=chat("Hi", stop_token_ids=[10**9]))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stop_token_ids[0]")


TIMER = {
    "type": "function",
    "function": {
        "name": "set_timer",
        "description": "Start a timer",
        "parameters": {
            "type": "object",
            "properties": {"minutes": {"type": "integer", "minimum": 1, "maximum": 90}},
            "required": ["minutes"],
        },
    },
}


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("auto", {"get_weather"}),
        ("required", {"get_weather", "set_timer"}),
        ({"type": "function", "function": {"name": "set_timer"}}, {"set_timer"}),
    ],
)
def test_tool_choice(http: httpx.Client, choice: dict[str, Any] | str, names: set[str]) -> None:
    body = chat("What is the weather in Paris?", tools=[WEATHER, TIMER], tool_choice=choice)
    body |= {"max_tokens": 200, "parallel_tool_calls": False}
    whole = http.post("/v1/chat/completions", json=body).json()["choices"][0]
    (call,) = whole["message"]["tool_calls"]
    assert whole["finish_reason"] == "tool_calls"
    assert whole["message"]["content"] is None
    assert call["function"]["name"] in names
    schemas = {t["function"]["name"]: t["function"]["parameters"] for t in (WEATHER, TIMER)}  # type: ignore[index]
    jsonschema.validate(
        json.loads(call["function"]["arguments"]), schemas[call["function"]["name"]]
    )
    chunks = events(http.post("/v1/chat/completions", json=body | {"stream": True}))
    parts = [p for c in chunks for p in c["choices"][0]["delta"].get("tool_calls", [])]
    assert {p["index"] for p in parts} == {0}
    assert parts[0]["id"].startswith("call_") and parts[0]["type"] == "function"
    assert parts[0]["function"]["name"] == call["function"]["name"]
    assert "".join(p["function"]["arguments"] for p in parts) == call["function"]["arguments"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_parallel_calls(http: httpx.Client) -> None:
    body = chat("What is the weather in Paris and Rome?", tools=[WEATHER])
    both = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
    one = http.post("/v1/chat/completions", json=body | {"parallel_tool_calls": False}).json()
    assert len(both["tool_calls"]) == 2
    assert [c["function"] for c in one["choices"][0]["message"]["tool_calls"]] == [
        both["tool_calls"][0]["function"]
    ]


def test_tool_choice_none_answers_in_words(http: httpx.Client) -> None:
    body = chat("What is the weather in Paris?", tools=[WEATHER], tool_choice="none", max_tokens=40)
    choice = http.post("/v1/chat/completions", json=body).json()["choices"][0]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] in ("stop", "length")


@pytest.mark.parametrize(
    ("option", "fits"),
    [
        ({"structured_outputs": {"choice": ["yes", "no"]}}, lambda t: t in ("yes", "no")),
        ({"structured_outputs": {"regex": "[a-c]{3}"}}, lambda t: len(t) == 3),
        ({"response_format": {"type": "json_object"}}, lambda t: t.startswith('{"')),
    ],
)
def test_forms(http: httpx.Client, option: dict[str, Any], fits: Callable[..., Any]) -> None:
    body = chat("Is it?", max_tokens=30, **option)
    text = http.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert fits(text)


def test_tokens_there_and_back(http: httpx.Client) -> None:
    body = {"model": MODEL, "prompt": "Grüße, 世界", "add_special_tokens": False}
    found = http.post("/tokenize", json=body | {"return_token_strs": True}).json()
    assert found["count"] == len(found["tokens"]) == len(found["token_strs"])
    back = http.post("/detokenize", json={"model": MODEL, "tokens": found["tokens"]}).json()
    assert back == {"prompt": "Grüße, 世界"}
    asked = chat()
    count = http.post("/tokenize", json={"messages": asked["messages"]}).json()["count"]
    usage = http.post("/v1/chat/completions", json=asked).json()["usage"]
    assert count == usage["prompt_tokens"]


def test_ids_health_metrics_and_log(http: httpx.Client, gateway: RunningGateway) -> None:
    reply = http.get("/v1/models", headers={"x-request-id": "abc-1"})
    assert reply.headers["x-request-id"] == "abc-1"
    assert http.get("/v1/models").headers["x-request-id"].startswith("req_")
    assert (
        http.get("/v1/models", headers={"x-request-id": 'a b"c'}).headers["x-request-id"] != "a b"
    )
    assert http.get("/health/live").status_code == 200
    ready = http.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    metrics = http.get("/metrics").text
    assert 'gemma4_gateway_requests_total{route="models",status="200"}' in metrics
    assert "gemma4_gateway_backend_ready{backend=" in metrics
    gateway.wait_for('"request_id":"abc-1"')
    line = next(line for line in gateway.output if '"request_id":"abc-1"' in line)
    assert json.loads(line)["status"] == 200


def test_docs(http: httpx.Client) -> None:
    assert "swagger" in http.get("/docs").text.lower()
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/models", "/tokenize"} <= paths.keys()
