"""The openai package as client, sync and asyncio."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, Literal, TypeVar

import openai
import pytest
from gemma4_runtime.server.board import Field as BoardField
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import LONG, MODEL, RunningGateway
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until, wait_until_async
from openai import AsyncOpenAI
from pydantic import BaseModel, Field

CANCEL_S = 0.5
T = TypeVar("T")
FRANCE = user("What is the capital of France?")


def run(gateway: RunningGateway, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
    async def inside() -> T:
        async with AsyncOpenAI(
            base_url=gateway.url + "/v1", api_key="any", max_retries=0
        ) as asynchronous:
            return await work(asynchronous)

    return asyncio.run(inside())


def test_chat(client: Any, gateway: RunningGateway) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=FRANCE, temperature=0)
    assert "Paris" in whole.choices[0].message.content
    stream = client.chat.completions.create(
        model=MODEL, messages=FRANCE, temperature=0, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens

    async def both(client: Any) -> tuple[str, str]:
        whole = await client.chat.completions.create(model=MODEL, messages=FRANCE, temperature=0)
        stream = await client.chat.completions.create(
            model=MODEL, messages=FRANCE, temperature=0, stream=True
        )
        pieces = [c.choices[0].delta.content or "" async for c in stream]
        return whole.choices[0].message.content, "".join(pieces)

    assert run(gateway, both) == (text, text)


def test_the_streaming_helper(client: Any) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=user("What is the weather in Oslo?"), tools=[WEATHER], temperature=0
    ) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_a_tool_loop(client: Any) -> None:
    messages = user("What is the weather in Oslo?")
    first = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0
    )
    message = first.choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    result = {"condition": "sunny", "temperature": 21}
    messages = [
        *messages, message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)},
    ]  # fmt: skip
    final = client.chat.completions.create(
        model=MODEL, messages=messages, tools=[WEATHER], temperature=0
    )
    assert "sunny" in final.choices[0].message.content
    assert "21" in final.choices[0].message.content


class Person(BaseModel):
    name: str = Field(max_length=8)
    age: int = Field(ge=0, le=99)
    mood: Literal["good", "bad"]


def test_parsed_into_pydantic(client: Any) -> None:
    options: dict[str, Any] = {"model": MODEL, "temperature": 0}
    chat = client.chat.completions.parse(
        messages=user("Give me JSON"), response_format=Person, **options
    )
    assert isinstance(chat.choices[0].message.parsed, Person)
    answer = client.responses.parse(input="Give me JSON", text_format=Person, **options)
    assert isinstance(answer.output_parsed, Person)


def test_log_probs(client: Any) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=FRANCE, temperature=0, logprobs=True
    )
    tokens = whole.choices[0].logprobs.content
    assert "".join(t.token for t in tokens) == whole.choices[0].message.content
    text = client.completions.create(model=MODEL, prompt="1 2 3", max_tokens=4, logprobs=0)
    assert len(text.choices[0].logprobs.token_logprobs) == 4
    assert text.choices[0].logprobs.top_logprobs is None


def test_top_log_probs(client: Any) -> None:
    """Whole and streamed, by each API: the greedy token is the first of so many."""
    asked: dict[str, Any] = {"model": MODEL, "temperature": 0}
    chat = asked | {"messages": FRANCE, "logprobs": True, "top_logprobs": 20}
    tokens = client.chat.completions.create(**chat).choices[0].logprobs.content
    for token in tokens:
        assert len(token.top_logprobs) == 20
        assert token.top_logprobs[0].token == token.token
        assert token.top_logprobs[0].logprob == pytest.approx(token.logprob)
    chunks = [c.choices[0] for c in client.chat.completions.create(**chat, stream=True)]
    streamed = [t for c in chunks if c.logprobs for t in c.logprobs.content]
    assert [[o.token for o in t.top_logprobs] for t in streamed] == [
        [o.token for o in t.top_logprobs] for t in tokens
    ]
    text = client.completions.create(**asked, prompt="1 2 3", max_tokens=4, logprobs=3)
    found = text.choices[0].logprobs
    assert [max(top, key=top.get) for top in found.top_logprobs] == found.tokens
    response = client.responses.create(
        **asked, input="Hello", include=["message.output_text.logprobs"], top_logprobs=2
    )
    part = response.output[0].content[0]
    assert all(len(t.top_logprobs) == 2 for t in part.logprobs) and part.logprobs


def test_extras_and_models(client: Any) -> None:
    assert [m.id for m in client.models.list()] == [MODEL]
    thought = client.chat.completions.create(
        model=MODEL, messages=FRANCE, temperature=0, seed=1,
        extra_body={"top_k": 5, "min_p": 0.0, "chat_template_kwargs": {"enable_thinking": True}},
    )  # fmt: skip
    assert thought.choices[0].message.reasoning_content


def test_errors_are_openais(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=FRANCE, logit_bias={"5": 101})
    assert caught.value.param == "logit_bias.5"
    with pytest.raises(openai.NotFoundError, match="gpt-5"):
        client.chat.completions.create(model="gpt-5", messages=FRANCE)
    with pytest.raises(openai.BadRequestError, match="shorten it"):
        client.chat.completions.create(model=MODEL, messages=user("1 2 3 " * 4000), stream=True)


def test_timeout_and_cancel_free_the_slot(
    client: Any, gateway: RunningGateway, server: Served
) -> None:
    long = {"model": MODEL, "messages": user("x"), "max_tokens": 1900, "extra_body": LONG}
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**long, timeout=0.3)
    wait_until(server.idle, CANCEL_S)
    stream = client.chat.completions.create(**long, stream=True)
    next(iter(stream))
    stream.close()
    wait_until(server.idle, CANCEL_S)

    async def cancelled(client: Any) -> None:
        task = asyncio.create_task(client.chat.completions.create(**long))
        await wait_until_async(lambda: server.board()[BoardField.ACTIVE] == 1, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(gateway, cancelled)
    wait_until(server.idle, CANCEL_S)


TOOL = {"type": "function", "strict": True, **WEATHER["function"]}


def test_responses(client: Any, gateway: RunningGateway) -> None:
    options = {"model": MODEL, "temperature": 0, "store": False}
    whole = client.responses.create(input=FRANCE[0]["content"], **options)
    assert "Paris" in whole.output_text
    assert (whole.status, whole.usage.output_tokens > 3) == ("completed", True)
    events = list(client.responses.create(input=FRANCE, stream=True, **options))
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == (
        whole.output_text
    )
    assert events[-1].response.output_text == whole.output_text
    cut = client.responses.create(input="Count from 1 to 50", max_output_tokens=5, **options)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")

    async def streamed(client: Any) -> Any:
        async with client.responses.stream(
            input=FRANCE, reasoning={"effort": "low"}, **options
        ) as s:
            async for _ in s:
                pass
            return await s.get_final_response()

    thought = run(gateway, streamed)
    assert [item.type for item in thought.output] == ["reasoning", "message"]
    assert thought.usage.output_tokens_details.reasoning_tokens > 3


def test_a_tool_loop_of_responses(client: Any) -> None:
    options = {"model": MODEL, "temperature": 0, "tools": [TOOL]}
    items = user("What is the weather in Oslo?")
    with client.responses.stream(input=items, **options) as stream:
        for _ in stream:
            pass
        first = stream.get_final_response()
    (call,) = [item for item in first.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Oslo"}
    items += [item.model_dump(exclude={"parsed_arguments"}) for item in first.output]
    items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny, 21"})
    final = client.responses.create(input=items, **options)
    assert "sunny" in final.output_text and "21" in final.output_text


@pytest.mark.parametrize(
    ("option", "param"),
    [
        ({"store": True}, "store"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"max_output_tokens": 99999}, "max_output_tokens"),
        ({"truncation": "auto"}, "truncation"),
        ({"input": [{"role": "user", "content": "<\ufdd0>"}]}, "input[0].content"),
    ],
)
def test_responses_refuse_by_name(client: Any, option: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**({"model": MODEL, "input": "x"} | option))
    assert caught.value.param == param
