"""LiteLLM: OpenAI's and Anthropic's form directly, and its bridges from one form to another."""

import asyncio
import json
import os
import sys
from typing import Any, Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from checking import MODEL, QUESTION, URL, V1, WEATHER, WEATHER_TOOL, raises, report
from pydantic import BaseModel

litellm.telemetry = False
OPENAI = {"model": f"openai/{MODEL}", "api_base": V1, "api_key": "any", "num_retries": 0}
CHAT_ONLY = OPENAI | {"model": f"hosted_vllm/{MODEL}"}
"""LiteLLM knows this kind of server to have /v1/chat/completions."""
ANTHROPIC = OPENAI | {"model": f"anthropic/{MODEL}", "api_base": URL}
ASK = [{"role": "user", "content": QUESTION}]


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


def chat() -> None:
    answer = litellm.completion(messages=ASK, temperature=0, **OPENAI)
    assert "Paris" in answer.choices[0].message.content, answer
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def stream() -> None:
    chunks = list(
        litellm.completion(
            messages=ASK, temperature=0, stream=True, stream_options={"include_usage": True},
            **OPENAI,
        )
    )  # fmt: skip
    assert "Paris" in "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert chunks[-1].usage.completion_tokens > 0
    whole = litellm.stream_chunk_builder(chunks, messages=ASK)
    assert "Paris" in whole.choices[0].message.content


def tool() -> None:
    messages = [{"role": "user", "content": WEATHER}]
    options = OPENAI | {"tools": [WEATHER_TOOL], "temperature": 0}
    named = {"type": "function", "function": {"name": "get_weather"}}
    for choice in ("required", named):
        answer = litellm.completion(messages=messages, tool_choice=choice, **options)
        (call,) = answer.choices[0].message.tool_calls
        assert call.function.name == "get_weather"
        assert list(json.loads(call.function.arguments)) == ["city"]
    messages += [
        answer.choices[0].message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": '{"condition": "sunny"}'},
    ]
    assert litellm.completion(messages=messages, **options).choices[0].message.content


def form() -> None:
    answer = litellm.completion(messages=ASK, response_format=Review, temperature=0, **OPENAI)
    Review.model_validate_json(answer.choices[0].message.content)


async def asynchronous() -> None:
    answers = await asyncio.gather(
        *(litellm.acompletion(messages=ASK, temperature=0, **OPENAI) for _ in range(4))
    )
    assert len({a.choices[0].message.content for a in answers}) == 1
    stream = await litellm.acompletion(messages=ASK, temperature=0, stream=True, **OPENAI)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == answers[0].choices[0].message.content


def kind(event: Any) -> str:
    """LiteLLM's events have a member of an enumeration, or the text of one."""
    return getattr(event.type, "value", event.type)


def text_of(response: Any) -> str:
    return "".join(
        part.text for item in response.output if item.type == "message" for part in item.content
    )


def responses() -> None:
    answer = litellm.responses(input=QUESTION, temperature=0, **OPENAI)
    assert answer.status == "completed" and "Paris" in text_of(answer)
    events = list(litellm.responses(input=QUESTION, temperature=0, stream=True, **OPENAI))
    assert kind(events[-1]) == "response.completed", events[-1]


def responses_by_chat() -> None:
    answer = litellm.responses(input=QUESTION, temperature=0, **CHAT_ONLY)
    assert answer.status == "completed" and "Paris" in text_of(answer)
    called = litellm.responses(
        input=WEATHER, tool_choice="required", temperature=0,
        tools=[{"type": "function", **WEATHER_TOOL["function"]}], **CHAT_ONLY,
    )  # fmt: skip
    assert [item.name for item in called.output if item.type == "function_call"] == ["get_weather"]


def responses_stream_by_chat() -> None:
    events = list(litellm.responses(input=QUESTION, temperature=0, stream=True, **CHAT_ONLY))
    text = "".join(e.delta for e in events if kind(e) == "response.output_text.delta")
    assert "Paris" in text, events
    assert "Paris" in text_of(events[-1].response)


def anthropic() -> None:
    answer = litellm.completion(messages=ASK, temperature=0, max_tokens=100, **ANTHROPIC)
    assert "Paris" in answer.choices[0].message.content
    chunks = list(
        litellm.completion(messages=ASK, max_tokens=100, temperature=0, stream=True, **ANTHROPIC)
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks)
    called = litellm.completion(
        messages=[{"role": "user", "content": WEATHER}], tools=[WEATHER_TOOL],
        tool_choice="required", max_tokens=100, temperature=0, **ANTHROPIC,
    )  # fmt: skip
    assert called.choices[0].message.tool_calls[0].function.name == "get_weather"


async def messages_by_chat() -> None:
    answer = await litellm.anthropic.messages.acreate(
        messages=ASK, max_tokens=100, temperature=0, **CHAT_ONLY
    )
    assert answer["type"] == "message" and "Paris" in answer["content"][0]["text"]
    assert answer["stop_reason"] == "end_turn" and answer["usage"]["output_tokens"] > 0
    tool = WEATHER_TOOL["function"]
    called = await litellm.anthropic.messages.acreate(
        messages=[{"role": "user", "content": WEATHER}], max_tokens=100, temperature=0,
        tools=[{"name": tool["name"], "input_schema": tool["parameters"]}],
        tool_choice={"type": "any"}, **CHAT_ONLY,
    )  # fmt: skip
    assert called["stop_reason"] == "tool_use", called
    assert called["content"][-1]["name"] == "get_weather"


async def messages_stream_by_chat() -> None:
    stream = await litellm.anthropic.messages.acreate(
        messages=ASK, max_tokens=100, temperature=0, stream=True, **CHAT_ONLY
    )
    text = b"".join([chunk async for chunk in stream]).decode()
    for event in ("message_start", "content_block_delta", "message_delta", "message_stop"):
        assert f"event: {event}" in text, text
    assert "Paris" in text


def unknown_model() -> None:
    for options, name in ((OPENAI, "openai"), (CHAT_ONLY, "hosted_vllm"), (ANTHROPIC, "anthropic")):
        wrong = options | {"model": f"{name}/nothing", "max_tokens": 10}
        raises(litellm.NotFoundError, lambda wrong=wrong: litellm.completion(messages=ASK, **wrong))


def too_long() -> None:
    long = [{"role": "user", "content": "word " * 100_000}]
    raises(
        litellm.ContextWindowExceededError,
        lambda: litellm.completion(messages=long, **OPENAI),
    )


sys.exit(
    report(
        chat=chat, stream=stream, tool=tool, form=form, responses=responses,
        responses_by_chat=responses_by_chat, responses_stream_by_chat=responses_stream_by_chat,
        anthropic=anthropic, messages_by_chat=messages_by_chat,
        messages_stream_by_chat=messages_stream_by_chat, unknown_model=unknown_model,
        too_long=too_long, **{"async": asynchronous},
    )
)  # fmt: skip
