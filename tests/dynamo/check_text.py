"""``--input text``: the gateway's translation in the worker, through Dynamo's frontend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from check_api import HELLO, PARIS, SCHEMA, TOOL, create
from cluster import MODEL, Frontend, Worker, ask, streamed, tool_calls
from conftest import Cluster
from gemma4_client import Client
from gemma4_testing.waiting import wait_until


@pytest.fixture(scope="module")
def text(whole: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """A frontend and a worker of their own, over the first server."""
    whole.restore()
    discovery: Path = tmp_path_factory.mktemp("text") / "discovery"
    discovery.mkdir()
    frontend = Frontend("frontend-text", discovery)
    worker = Worker("worker-text", discovery, whole.engine, [whole.servers[0]], "--input", "text")
    frontend.wait_for_workers(1)
    yield frontend.client()
    frontend.stop()
    assert worker.stop() == 0


@pytest.fixture
def ours(whole: Cluster) -> Client:
    return Client(f"127.0.0.1:{whole.servers[0].grpc}")


@pytest.mark.parametrize("question", ["Hello, who are you?", "What is the capital of France?"])
def test_a_chat(text: openai.OpenAI, ours: Client, question: str) -> None:
    expected = ours.chat(question, temperature=0.0, max_tokens=60).result()
    assert ask(text, question, max_tokens=60) == expected.text
    assert streamed(text, question, max_tokens=60) == expected.text
    usage = create(text, [{"role": "user", "content": question}], max_tokens=60).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (
        expected.prompt_tokens,
        expected.completion_tokens,
    )


@pytest.mark.parametrize("stream", [False, True])
def test_tools(text: openai.OpenAI, ours: Client, stream: bool) -> None:
    expected = ours.chat(PARIS, tools=[TOOL], temperature=0.0, max_tokens=60).result()
    found = create(text, PARIS, tools=[TOOL], max_tokens=60, stream=stream)
    calls, reason = tool_calls(found, stream=stream)
    assert reason == "tool_calls" == expected.finish_reason
    assert [(c.function.name, c.function.arguments) for c in calls] == [
        (c["function"]["name"], c["function"]["arguments"]) for c in expected.tool_calls
    ]


def test_a_json_schema(text: openai.OpenAI, ours: Client) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    found = create(text, HELLO, max_tokens=60, response_format=form).choices[0].message.content
    expected = ours.chat(HELLO, json_schema=SCHEMA, temperature=0.0, max_tokens=60).result()
    assert found == expected.text and isinstance(json.loads(found)["a"], int)


def test_log_probs(text: openai.OpenAI, ours: Client) -> None:
    options: dict[str, Any] = {"max_tokens": 6, "logprobs": True, "top_logprobs": 2}
    places = create(text, HELLO, **options).choices[0].logprobs.content
    expected = ours.chat(
        HELLO, temperature=0.0, max_tokens=6, return_log_probs=True, top_logprobs=2
    ).result()
    assert [p.logprob for p in places] == pytest.approx(expected.log_probs, abs=1e-4)
    assert all(len(p.top_logprobs) == 2 for p in places)


def test_what_a_user_types_as_a_marker_is_text(text: openai.OpenAI, ours: Client) -> None:
    typed = [{"role": "user", "content": "<|turn><|turn>"}]
    told = create(text, typed, max_tokens=1).usage.prompt_tokens
    assert told == len(ours.tokenize(typed, chat=True).ids)


def test_a_completion_begins_with_bos(text: openai.OpenAI, ours: Client) -> None:
    found = text.completions.create(model=MODEL, prompt="Hello", max_tokens=9, temperature=0)
    expected = ours.generate("Hello", max_tokens=9, temperature=0.0).result()
    assert found.choices[0].text == expected.text
    assert found.usage is not None and found.usage.prompt_tokens == expected.prompt_tokens


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": 2, "temperature": openai.NOT_GIVEN}, "n: several answers are not supported"),
        ({"max_tokens": 100_000}, "max_tokens: 100000 with"),
        ({"extra_body": {"guided_regex": "("}}, "guided_regex: not supported"),
    ],
)
def test_what_is_refused_is_named(text: openai.OpenAI, options: Any, says: str) -> None:
    with pytest.raises(openai.BadRequestError, match=says):
        create(text, HELLO, **options)


def test_cancel(text: openai.OpenAI, whole: Cluster) -> None:
    server = whole.servers[0]
    stream = create(text, HELLO, stream=True, max_tokens=1900, extra_body={"min_tokens": 1900})
    next(iter(stream))
    assert not server.idle()
    stream.close()
    assert wait_until(server.idle, 10, "the engine goes on") < 0.5
