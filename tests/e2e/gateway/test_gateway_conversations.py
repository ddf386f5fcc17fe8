"""How a conversation may end, prompts as token ids, and what an answer may say beside its text: by
the openai package, on the demo model."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import MODEL
from gemma4_testing.servers.served import Served, generate, user

ASK = user("What is the capital of Italy?")
BEGUN = [*ASK, {"role": "assistant", "content": "The capital"}]
OTHER = {"type": "function", "function": {"name": "set_alarm", "parameters": {"type": "object"}}}
GREEDY: dict[str, Any] = {"model": MODEL, "temperature": 0, "max_tokens": 40}
GO_ON = {"add_generation_prompt": False, "continue_final_message": True}


def chat(client: Any, **more: Any) -> Any:
    return client.chat.completions.create(**(GREEDY | {"messages": ASK} | more))


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Be brief."}],
        [{"role": "developer", "content": "Be brief."}],
        [{"role": "assistant", "content": "Hello."}],
        BEGUN,
        [*BEGUN, {"role": "system", "content": "Be brief."}],
    ],
)
def test_any_last_message_has_an_answer(client: Any, messages: Any) -> None:
    assert chat(client, messages=messages).choices[0].finish_reason in ("stop", "length")


def test_a_begun_message_goes_on(client: Any, http: httpx.Client, server: Served) -> None:
    """The same by chat, by the ids of its prompt, by the ensemble and by the SDK."""
    whole = chat(client, messages=BEGUN, extra_body=GO_ON | {"return_token_ids": True})
    text, ids = whole.choices[0].message.content, whole.choices[0].token_ids
    asked = {"messages": BEGUN, "model": MODEL, **GO_ON}
    prompt = http.post("/tokenize", json=asked).json()["tokens"]
    assert whole.prompt_token_ids == prompt and len(prompt) == whole.usage.prompt_tokens
    assert (
        http.post("/detokenize", json={"tokens": prompt})
        .json()["prompt"]
        .endswith("<|turn>model\nThe capital")
    )
    by_ids = client.completions.create(
        prompt=prompt, extra_body={"return_token_ids": True}, **GREEDY
    )
    assert by_ids.choices[0].token_ids == ids and by_ids.choices[0].prompt_token_ids == prompt
    body = {"temperature": 0.0, "max_tokens": 40}
    made = generate(server, body | {"messages": json.dumps(BEGUN), "continue_final_message": True})
    assert made["text_output"] == text
    made = generate(server, body | {"prompt_token_ids": prompt})
    assert made["text_output"] == by_ids.choices[0].text
    with server.client() as sdk:
        options: Any = {"temperature": 0.0, "max_tokens": 40}
        assert sdk.generate(prompt_token_ids=prompt, **options).result().ids == ids
        assert sdk.chat(BEGUN, continue_final_message=True, **options).result().text == text
        assert sdk.tokenize(BEGUN, chat=True, continue_final_message=True).ids == prompt


def test_streams_say_the_same_ids(client: Any) -> None:
    beside: Any = {"extra_body": {"return_token_ids": True}}
    whole = chat(client, n=2, seed=1, **beside)
    chunks = list(chat(client, n=2, seed=1, stream=True, **beside))
    for index, choice in enumerate(whole.choices):
        mine = [c for c in chunks if c.choices and c.choices[0].index == index]
        assert mine[0].prompt_token_ids == whole.prompt_token_ids
        said = [t for c in mine for t in getattr(c.choices[0], "token_ids", None) or []]
        assert said == choice.token_ids
        assert len(said) <= whole.usage.completion_tokens
    prompts = [whole.prompt_token_ids, whole.prompt_token_ids[:-1]]
    both = client.completions.create(prompt=prompts, **GREEDY, **beside)
    assert [c.prompt_token_ids for c in both.choices] == prompts


@pytest.mark.parametrize(
    ("prompt", "param"),
    [([2, 10**9], "prompt[1]"), ([[2, 300], [2, 0]], "prompt[1][1]"), ([[2]] * 65, "prompt")],
)
def test_ids_that_are_none(client: Any, prompt: Any, param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(prompt=prompt, **GREEDY)
    assert caught.value.param == param


def test_forms_that_contradict(client: Any) -> None:
    for more, param in (
        ({"continue_final_message": True}, "continue_final_message"),
        ({"add_generation_prompt": False}, "add_generation_prompt"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            chat(client, extra_body=more)
        assert caught.value.param == param


def test_usage_in_every_chunk(client: Any) -> None:
    asked = {"include_usage": True, "continuous_usage_stats": True}
    *chunks, last = list(chat(client, stream=True, stream_options=asked))
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[-1] == last.usage.completion_tokens
    assert {chunk.usage.prompt_tokens for chunk in chunks} == {last.usage.prompt_tokens}


def test_allowed_tools(client: Any) -> None:
    def called(mode: str, name: str) -> list[str]:
        allowed = {"mode": mode, "tools": [{"type": "function", "function": {"name": name}}]}
        choice = {"type": "allowed_tools", "allowed_tools": allowed}
        answer = chat(
            client, messages=user("What is the weather in Oslo?"), tools=[WEATHER, OTHER],
            tool_choice=choice, max_tokens=200,
        )  # fmt: skip
        return [call.function.name for call in answer.choices[0].message.tool_calls or []]

    assert called("auto", "get_weather") == ["get_weather"]
    assert set(called("auto", "set_alarm")) <= {"set_alarm"}
    assert set(called("required", "set_alarm")) == {"set_alarm"}


def test_thoughts_by_both_names_come_back(client: Any) -> None:
    thought = chat(client, reasoning_effort="low", max_tokens=300).choices[0].message
    assert thought.reasoning == thought.reasoning_content != ""
    chunks = list(chat(client, reasoning_effort="low", max_tokens=300, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    said = "".join(getattr(delta, "reasoning", None) or "" for delta in deltas)
    assert said == thought.reasoning
    again = [*ASK, thought.model_dump(), *user("And of France?")]
    assert chat(client, messages=again).choices[0].message.content
    only = {"role": "assistant", "content": thought.content, "reasoning": thought.reasoning}
    assert chat(client, messages=[*ASK, only, *user("And of France?")]).choices[0].message.content
