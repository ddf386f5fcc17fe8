"""The openai package, through Dynamo's frontend and our worker, against our own SDK."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from cluster import MODEL, ask, streamed, tool_calls
from conftest import Cluster
from gemma4_client import Client

HELLO = [{"role": "user", "content": "Hello, who are you?"}]
PARIS = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
SCHEMA: Any = {
    "type": "object",
    "properties": {"a": {"type": "integer"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.fixture
def ours(cluster: Cluster) -> Client:
    return Client(f"127.0.0.1:{cluster.servers[0].grpc}")


def create(client: openai.OpenAI, messages: Any, **options: Any) -> Any:
    settings = {"temperature": 0} | options
    return client.chat.completions.create(model=MODEL, messages=messages, **settings)


@pytest.mark.parametrize("text", ["Hello, who are you?", "What is the capital of France?", "Count"])
def test_a_chat_is_the_one_of_our_sdk(client: openai.OpenAI, ours: Client, text: str) -> None:
    expected = ours.chat(text, temperature=0.0, max_tokens=60).result()
    assert ask(client, text, max_tokens=60) == expected.text
    assert streamed(client, text, max_tokens=60) == expected.text
    usage = create(client, [{"role": "user", "content": text}], max_tokens=60).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        expected.prompt_tokens,
        expected.completion_tokens,
    )
    assert usage.prompt_tokens_details.cached_tokens is not None


@pytest.mark.parametrize("stream", [False, True])
def test_tools(client: openai.OpenAI, ours: Client, stream: bool) -> None:
    expected = ours.chat(PARIS, tools=[TOOL], temperature=0.0, max_tokens=60).result()
    found = create(client, PARIS, tools=[TOOL], max_tokens=60, stream=stream)
    calls, reason = tool_calls(found, stream=stream)
    assert reason == "tool_calls" == expected.finish_reason
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [
        (c["function"]["name"], json.loads(c["function"]["arguments"])) for c in expected.tool_calls
    ]


def test_a_json_schema(client: openai.OpenAI, ours: Client) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    found = create(client, HELLO, max_tokens=60, response_format=form).choices[0].message.content
    assert isinstance(json.loads(found)["a"], int)
    expected = ours.chat(HELLO, json_schema=SCHEMA, temperature=0.0, max_tokens=60).result()
    assert found == expected.text


def test_a_choice(client: openai.OpenAI) -> None:
    found = ask(client, max_tokens=9, extra_body={"guided_choice": ["yes", "no."]})
    assert found in ("yes", "no.")


def test_log_probs(client: openai.OpenAI, ours: Client) -> None:
    options: dict[str, Any] = {"max_tokens": 6, "logprobs": True, "top_logprobs": 2}
    places = create(client, HELLO, **options).choices[0].logprobs.content
    expected = ours.chat(
        HELLO, temperature=0.0, max_tokens=6, return_log_probs=True, top_logprobs=2
    ).result()
    assert [p.logprob for p in places] == pytest.approx(expected.log_probs, abs=1e-4)
    texts = ours.detokenize([t for place in expected.top_log_probs for t, _ in place])
    told = [bytes(top.bytes or []) for place in places for top in place.top_logprobs]
    assert told == texts.token_bytes
    for place, (best, _) in zip(places, expected.top_log_probs, strict=True):
        assert place.top_logprobs[0].logprob == pytest.approx(best[1], abs=1e-4)


def test_stop_strings_and_token_ids(client: openai.OpenAI, ours: Client) -> None:
    whole = ours.chat(HELLO, temperature=0.0, max_tokens=60).result().text
    assert ask(client, max_tokens=60, stop=["demo"]) == whole[: whole.index("demo")]
    ids = ours.tokenize(HELLO, chat=True).ids
    found = client.completions.create(model=MODEL, prompt=ids, max_tokens=9, temperature=0)
    expected = ours.generate(prompt_token_ids=ids, max_tokens=9, temperature=0.0).result()
    assert found.choices[0].text == expected.text


def test_what_a_user_types_as_a_marker(client: openai.OpenAI, ours: Client) -> None:
    """Text for us; a control token, which is one, for Dynamo's frontend."""
    typed = [{"role": "user", "content": "<|turn><|turn><|turn><|turn>"}]
    told = create(client, typed, max_tokens=1).usage.prompt_tokens
    assert told < len(ours.tokenize(typed, chat=True).ids)
    assert told == len(ours.tokenize([{"role": "user", "content": "x"}], chat=True).ids) + 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 2, "temperature": openai.NOT_GIVEN}, "sampling_options.n: 2 is not supported"),
        ({"max_tokens": 100_000}, "max_tokens: 100000 with"),
        ({"extra_body": {"guided_regex": "("}}, "guided_decoding_guide"),
        ({"extra_body": {"nvext": {"cache_salt": "x"}}}, "routing.cache_salt"),
        ({"extra_body": {"nvext": {"max_thinking_tokens": 5}}}, "stop_conditions.max_thinking_to"),
    ],
)
def test_what_is_refused_is_named(client: openai.OpenAI, options: Any, says: str) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        create(client, HELLO, **options)
