"""The anthropic package as client, sync and asyncio, and a loop like Claude Code's."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from gemma4_runtime.server.board import Field as BoardField
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from pydantic import BaseModel, Field

CANCEL_S = 0.5
FRANCE = user("What is the capital of France?")
OSLO = user("What is the weather in Oslo?")
GREEDY: dict[str, Any] = {"model": MODEL, "max_tokens": 200, "extra_body": {"temperature": 0}}
MANY = {"type": "array", "items": {"type": "boolean"}, "minItems": 1000}
LONG: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 1900,
    "output_config": {"format": {"type": "json_schema", "schema": MANY}},
}
"""This API has no option like ``min_tokens``; a guide keeps the answer from an early end."""
CACHED = {"cache_control": {"type": "ephemeral"}}
TOOL = {
    "name": "get_weather",
    "description": WEATHER["function"]["description"],
    "input_schema": WEATHER["function"]["parameters"],
}


def said(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


@pytest.fixture(scope="module")
def client(gateway: RunningGateway) -> Any:
    """Any: bodies are plain dictionaries here."""
    with Anthropic(base_url=gateway.url, api_key="any", max_retries=0) as made:
        yield made


def test_a_message(client: Any, gateway: RunningGateway) -> None:
    whole = client.messages.create(messages=FRANCE, **GREEDY)
    assert "Paris" in whole.content[0].text
    assert (whole.stop_reason, whole.role, whole.model) == ("end_turn", "assistant", MODEL)
    with client.messages.stream(messages=FRANCE, **GREEDY) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    total = client.messages.count_tokens(model=MODEL, messages=FRANCE).input_tokens
    assert [model.id for model in client.models.list()] == [MODEL]
    assert total == final.usage.input_tokens + final.usage.cache_read_input_tokens

    async def asked() -> str:
        async with AsyncAnthropic(base_url=gateway.url, auth_token="any", max_retries=0) as made:
            client: Any = made
            events = await client.messages.create(messages=FRANCE, stream=True, **GREEDY)
            return "".join([e.delta.text async for e in events if e.type == "content_block_delta"])

    assert asyncio.run(asked()) == text


def test_an_answer_that_the_client_has_begun(client: Any) -> None:
    begun = [*FRANCE, {"role": "assistant", "content": "The capital of France"}]
    whole = client.messages.create(messages=begun, **GREEDY)
    assert whole.content[0].text == " is Paris."
    total = client.messages.count_tokens(model=MODEL, messages=begun).input_tokens
    assert total == whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[1\]"):
        client.messages.create(messages=[*FRANCE, {"role": "assistant", "content": ""}], **GREEDY)


def test_thoughts(client: Any) -> None:
    options = GREEDY | {"max_tokens": 500, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    whole = client.messages.create(messages=FRANCE, **options)
    thought, said = whole.content
    assert (thought.type, said.type) == ("thinking", "text")
    assert thought.thinking and thought.signature
    assert 0 < whole.usage.output_tokens_details.thinking_tokens < whole.usage.output_tokens
    turns = [*FRANCE, {"role": "assistant", "content": whole.content}, *user("Hi")]
    assert client.messages.create(messages=turns, **options).content
    for display in ("omitted", "updates"):
        thinking = {"type": "adaptive", "display": display}
        other = client.messages.create(messages=FRANCE, **(options | {"thinking": thinking}))
        assert [(b.type, getattr(b, b.type)) for b in other.content] == [
            ("thinking", ""), ("text", said.text),
        ]  # fmt: skip


def test_why_it_stops(client: Any) -> None:
    counting = user("Count from 1 to 50")
    cut = client.messages.create(messages=counting, **(GREEDY | {"max_tokens": 5}))
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 5)
    whole = client.messages.create(messages=FRANCE, **GREEDY).content[0].text
    stopped = client.messages.create(messages=FRANCE, stop_sequences=["zzz", "Paris"], **GREEDY)
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Paris")
    assert stopped.content[0].text == whole.partition("Paris")[0]
    roomy = client.messages.create(messages=FRANCE, **(GREEDY | {"max_tokens": 20_000}))
    assert (roomy.stop_reason, roomy.content[0].text) == ("end_turn", whole)


def test_a_coding_agent(client: Any) -> None:
    """As Claude Code asks: beta, blocks that are cached, many tools, streams, results as blocks."""
    tools = [TOOL | CACHED] + [
        {"name": f"tool_{i}", "description": "Do nothing", "input_schema": {"type": "object"}}
        for i in range(20)
    ]
    options: dict[str, Any] = {
        **GREEDY, "tools": tools, "betas": ["claude-code-20250219"], "max_tokens": 32_000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cch=1;"},
            {"type": "text", "text": "You are an agent.", **CACHED},
        ],
        "metadata": {"user_id": "u"}, "thinking": {"type": "disabled"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    }  # fmt: skip
    turns = said({"type": "text", "text": OSLO[0]["content"], **CACHED})
    with client.beta.messages.stream(messages=turns, **options) as stream:
        kinds = [event.type for event in stream]
        first = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    (call,) = [block for block in first.content if block.type == "tool_use"]
    assert (call.name, call.input, first.stop_reason) == (
        "get_weather", {"city": "Oslo"}, "tool_use",
    )  # fmt: skip
    result = [{"type": "text", "text": "sunny, 21 degrees"}]
    turns += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": result, **CACHED}]},
    ]  # fmt: skip
    with client.beta.messages.stream(messages=turns, **options) as stream:
        last = stream.get_final_message()
    assert last.stop_reason == "end_turn" and "sunny" in last.content[0].text


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_forced_calls(client: Any, choice: dict[str, Any]) -> None:
    options = GREEDY | {
        "tools": [TOOL], "tool_choice": choice | {"disable_parallel_tool_use": True},
    }  # fmt: skip
    whole = client.messages.create(messages=OSLO, **options)
    assert [block.type for block in whole.content] == ["tool_use"]
    assert set(whole.content[0].input) == {"city"} and whole.stop_reason == "tool_use"
    with client.messages.stream(messages=OSLO, **options) as stream:
        assert stream.get_final_message().content[0].input == whole.content[0].input


class Person(BaseModel):
    name: str = Field(max_length=8)
    age: int = Field(ge=0, le=99)


def test_parsed_into_pydantic(client: Any) -> None:
    parsed = client.messages.parse(messages=user("Give me JSON"), output_format=Person, **GREEDY)
    assert isinstance(parsed.parsed_output, Person)


def test_errors_are_its_own(client: Any) -> None:
    with pytest.raises(anthropic.NotFoundError, match=MODEL) as missing:
        client.messages.create(messages=FRANCE, **(GREEDY | {"model": "claude-opus-4"}))
    assert missing.value.type == "not_found_error" and missing.value.request_id
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: .*shorten it"):
        client.messages.create(messages=user("1 2 3 " * 4000), **GREEDY)
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\].text: "):
        bad = said({"type": "text", "text": "<\ufdd0>"})
        client.messages.create(messages=bad, **GREEDY)
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[1\].content\[0\]"):
        lonely = FRANCE + said({"type": "tool_result", "tool_use_id": "x", "content": "y"})
        client.messages.count_tokens(model=MODEL, messages=lonely)


def test_a_client_that_leaves_frees_the_slot(client: Any, server: Served) -> None:
    stream = client.messages.create(messages=user("x"), stream=True, **LONG)
    next(iter(stream))
    wait_until(lambda: server.board()[BoardField.ACTIVE] == 1, 5)  # message_start may come before
    stream.close()
    wait_until(server.idle, CANCEL_S)
