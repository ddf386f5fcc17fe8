"""Every refusal names the parameter, in OpenAI's form, from the gateway or from the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gemma4_testing.servers.running_gateway import MODEL, chat
from gemma4_testing.servers.served import user

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NAMED = {"type": "function", "function": {"name": "g"}}
PROMPT = {"model": MODEL, "prompt": "x"}

BAD = [
    (CHAT, chat(logit_bias={"1": 105}), 400, "logit_bias.1", "less than or equal to 100"),
    (CHAT, chat(logit_bias={"x": 5}), 400, "logit_bias", "no token id"),
    (CHAT, chat(stop_token_ids=[-1]), 400, "stop_token_ids[0]", "greater than or equal to 0"),
    (CHAT, chat(functions=[{"name": "f"}]), 400, "functions", "use tools"),
    (CHAT, chat(audio={}), 400, "audio", "text only"),
    (CHAT, chat(top_logprobs=21, logprobs=True), 400, "top_logprobs", "less than or equal to 20"),
    (CHAT, chat(top_logprobs=3), 400, "top_logprobs", "needs logprobs"),
    (CHAT, chat(temprature=1), 400, "temprature", "no such parameter"),
    (CHAT, chat(store=True), 400, "store", "False"),
    (CHAT, chat(service_tier="priority"), 400, "service_tier", "auto"),
    (CHAT, chat() | {"temperature": "hot"}, 400, "temperature", "valid number"),
    (CHAT, chat(top_p=1.5), 400, "top_p", "1.5"),
    (CHAT, chat(n=17), 400, "n", "16"),
    (CHAT, chat(max_tokens=5, max_completion_tokens=6), 400, "max_completion_tokens", "too"),
    (CHAT, chat(max_completion_tokens=9999), 400, "max_completion_tokens", "ask for at most"),
    (CHAT, chat(min_tokens=5, max_tokens=4), 400, "min_tokens", "more than max_tokens"),
    (CHAT, chat(stream_options={"include_usage": True}), 400, "stream_options", "stream"),
    (CHAT, chat(tool_choice="required"), 400, "tool_choice", "needs tools"),
    (CHAT, chat(tools=[TOOL], tool_choice=NAMED), 400, "tool_choice", "'g' is not among"),
    (CHAT, chat(tools=[TOOL, TOOL]), 400, "tools[1].function.name", "declared twice"),
    (CHAT, chat(tools=[{"type": "retrieval"}]), 400, "tools[0].type", "function"),
    (CHAT, chat(ignore_eos=True), 400, "ignore_eos", "max_tokens"),
    (
        CHAT,
        chat(ignore_eos=True, max_tokens=9, response_format={"type": "json_object"}),
        400, "ignore_eos", "cannot be combined with a guide",
    ),
    (CHAT, chat(structured_outputs={"regex": "("}), 400, "structured_outputs", "regular"),
    (CHAT, chat(structured_outputs={}), 400, "structured_outputs", "exactly one"),
    (CHAT, chat(response_format={"type": "xml"}), 400, "response_format", "json_schema"),
    (
        CHAT,
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nope"}}}),
        400, "response_format", "is not a JSON schema",
    ),
    (
        CHAT,
        chat(response_format={"type": "json_object"}, structured_outputs={"regex": "a"}),
        400, "structured_outputs", "response_format is given too",
    ),
    (CHAT, chat() | {"messages": []}, 400, "messages", "at least 1"),
    (CHAT, chat() | {"messages": user("x") * 1025}, 400, "messages", "1025 items; at most 1024"),
    (CHAT, chat() | {"messages": [{"role": "root", "content": "x"}]}, 400, "messages[0].role", "'root'"),
    (
        CHAT,
        chat() | {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        400, "messages[0].content[0].type", "text parts",
    ),
    (CHAT, chat() | {"continue_final_message": True}, 400, "continue_final_message", "from 'assistant'"),
    (CHAT, chat() | {"add_generation_prompt": False}, 400, "add_generation_prompt", "leave it out"),
    (CHAT, chat("1 2 3 " * 4000), 400, "messages", "shorten it"),
    (CHAT, chat() | {"model": "gpt-5"}, 404, "model", MODEL),
    (CHAT, {"model": MODEL}, 400, "messages", "required"),
    (TEXT, PROMPT | {"prompt": [2, 0]}, 400, "prompt[1]", "placeholder"),
    (TEXT, PROMPT | {"prompt": [2, 5], "echo": True}, 400, "echo", "only text is echoed"),
    (TEXT, PROMPT | {"prompt": ""}, 400, "prompt", "at least 1"),
    (TEXT, PROMPT | {"prompt": ["x"] * 65}, 400, "prompt", "65 items; at most 64"),
    (TEXT, PROMPT | {"prompt": "<|image|>"}, 400, "prompt", "placeholder"),
    (TEXT, PROMPT | {"suffix": "y"}, 400, "suffix", "middle"),
    (TEXT, PROMPT | {"logprobs": 21}, 400, "logprobs", "less than or equal to 20"),
    (TEXT, PROMPT | {"echo": True, "logprobs": 0}, 400, "echo", "prompt"),
    ("/tokenize", {"prompt": "x", "messages": user("x")}, 400, None, "exactly one"),
    ("/tokenize", {"prompt": "x", "chat_template": "y"}, 400, "chat_template", "checkpoint's"),
    ("/detokenize", {"tokens": [-1]}, 400, "tokens[0]", "greater than or equal to 0"),
    ("/detokenize", {"tokens": [10**6]}, 400, "tokens", "1000000 is not in 0"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "param", "says"), BAD)
@pytest.mark.parametrize("stream", [False, True])
def test_refusal(
    http: httpx.Client,
    path: str,
    body: dict[str, Any],
    status: int,
    param: str | None,
    says: str,
    stream: bool,
) -> None:
    if stream and path in (CHAT, TEXT) and param != "stream_options":
        body = body | {"stream": True}
    reply = http.post(path, json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (status, param), error
    assert says in error["message"]
    assert error["type"] == "invalid_request_error"
    assert param is None or error["message"].startswith(param)


TEXT_PART = {"type": "text", "text": "Hi"}
BIG = 128851511050041098240
SCHEMA_WITH_BIG = {"type": "object", "properties": {"a": {"type": "integer", "maximum": BIG}}}


def test_numbers_of_any_size_are_json(http: httpx.Client) -> None:
    """Found by schemathesis: orjson refuses them."""
    part = chat() | {"messages": [{"role": "user", "content": [TEXT_PART | {"x": BIG}]}]}
    assert http.post(CHAT, json=part).status_code == 200
    tool = {"type": "function", "name": "f", "parameters": SCHEMA_WITH_BIG}
    body = {"model": MODEL, "input": "Hello", "tools": [tool], "temperature": 0}
    whole = http.post("/v1/responses", json=body)
    assert whole.json()["tools"][0]["parameters"] == SCHEMA_WITH_BIG
    streamed = http.post("/v1/responses", json=body | {"stream": True})
    assert "response.completed" in streamed.text and str(BIG) in streamed.text


@pytest.mark.parametrize("path", [CHAT, "/tokenize"])
def test_lone_surrogates_are_refused(http: httpx.Client, path: str) -> None:
    part = {"role": "user", "content": [{"type": "text", "text": "HERE"}]}
    body = json.dumps({"model": MODEL, "messages": [part]}).replace("HERE", r"\ud800")
    reply = http.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert "surrogate" in reply.json()["error"]["message"]


def test_nulls_stand_for_nothing(http: httpx.Client) -> None:
    body = chat(logit_bias=None, functions=None, audio=None, n=None, tools=None, stop=None)
    assert http.post(CHAT, json=body).status_code == 200


def test_what_has_no_effect_is_taken(http: httpx.Client) -> None:
    body = chat(user="u", metadata={"a": "b"}, store=False, service_tier="auto",
                safety_identifier="s", prompt_cache_key="k", modalities=None)  # fmt: skip
    assert http.post(CHAT, json=body).status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "says"),
    [
        (b"{nope", {"content-type": "application/json"}, "not JSON"),
        (b"", {"content-type": "application/json"}, "body"),
        (b"[1]", {"content-type": "application/json"}, "body"),
        (b"{}", {"content-type": "application/x-www-form-urlencoded"}, "send application/json"),
        (b'{"a":' * 100_000, {"content-type": "application/json"}, "body"),
        (b'"\xff"', {"content-type": "application/json"}, "body"),
    ],
)
def test_bodies_that_are_none(
    http: httpx.Client, content: bytes, headers: dict[str, str], says: str
) -> None:
    reply = http.post(CHAT, content=content, headers=headers)
    assert reply.status_code == 400
    assert says in reply.json()["error"]["message"]


def test_paths_and_methods(http: httpx.Client) -> None:
    for method, path, status in (("GET", "/v1/nope", 404), ("GET", CHAT, 405), ("PUT", CHAT, 405)):
        reply = http.request(method, path)
        assert reply.status_code == status
        assert path in reply.json()["error"]["message"]


def test_a_body_that_is_too_large(http: httpx.Client) -> None:
    reply = http.post(CHAT, json=chat("x" * (5 << 20)))
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")

    def pieces() -> Iterator[bytes]:
        for _ in range(6):
            yield b"x" * (1 << 20)

    reply = http.post(CHAT, content=pieces(), headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")
