"""A form beside tools and thoughts: the demo model calls, reads the result and answers in the form,
the same through every way to ask."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import pytest
from gemma4_client import Answer, AsyncClient
from gemma4_testing.cases.tools import WEATHER
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served, generate, user
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import OpenAI
from pydantic import BaseModel, ConfigDict, Field

ASK = user("What is the weather in Oslo?")
STRICT = WEATHER | {"function": WEATHER["function"] | {"strict": True}}
RESULT = {"condition": "sunny", "temperature": 21}


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    city: str = Field(max_length=12)
    degrees: int = Field(ge=-50, le=60)


SCHEMA = Report.model_json_schema()
FORM = {"type": "json_schema", "json_schema": {"name": "report", "schema": SCHEMA}}
GUIDE = {
    "guided_decoding_guide_type": "json_schema",
    "guided_decoding_guide": json.dumps(SCHEMA),
    "tools": json.dumps([WEATHER]),
    "temperature": 0.0,
    "max_tokens": 300,
}


def after(call: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(RESULT)},
    ]


def join(pieces: list[dict[str, Any]]) -> tuple[str, str, list[tuple[str, Any]], str]:
    calls = [call for p in pieces if p["tool_calls"] for call in json.loads(p["tool_calls"])]
    return (
        "".join(p["text_output"] for p in pieces),
        "".join(p["reasoning_output"] for p in pieces),
        [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls],
        pieces[-1]["finish_reason"],
    )


def everywhere(
    server: Served, messages: list[dict[str, Any]], **options: Any
) -> tuple[str, str, list[tuple[str, Any]], str]:
    """Content, thought, calls and reason: by the ensemble, the engine and a feed, which agree."""
    body = GUIDE | options | {"messages": json.dumps(messages)}
    whole = join([generate(server, body)])
    assert join(generate(server, body | {"stream": True}, stream=True)) == whole

    def told(answer: Answer) -> tuple[str, str, list[tuple[str, Any]], str]:
        calls = [
            (c["function"]["name"], json.loads(c["function"]["arguments"]))
            for c in answer.tool_calls
        ]
        return answer.text, answer.reasoning, calls, answer.finish_reason

    asked = GUIDE | options
    del asked["tools"]
    with server.client() as direct:
        for stream in (True, False):
            answer = direct.chat(messages, tools=[WEATHER], stream=stream, **asked).result()
            assert told(answer) == whole

    async def many() -> list[Answer]:
        async with AsyncClient(f"127.0.0.1:{server.grpc}") as feed:
            streams = [feed.chat(messages, tools=[WEATHER], **asked) for _ in range(12)]
            return await asyncio.gather(*(stream.result() for stream in streams))

    assert {json.dumps(told(answer)) for answer in asyncio.run(many())} == {json.dumps(whole)}
    return whole


def test_the_tool_is_called_and_then_the_form_is_filled(server: Served) -> None:
    content, reasoning, calls, reason = everywhere(server, ASK)
    assert (content, reasoning, reason) == ("", "", "tool_calls")
    assert calls == [("get_weather", {"city": "Oslo"})]
    call = {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    content, reasoning, calls, reason = everywhere(server, after(call))
    jsonschema.validate(json.loads(content), SCHEMA)
    assert (reasoning, calls, reason) == ("", [], "stop")


def test_thoughts_are_not_of_the_form(server: Served) -> None:
    content, reasoning, calls, reason = everywhere(server, ASK, enable_thinking=True)
    assert reasoning and (content, reason) == ("", "tool_calls") and calls
    none = {"enable_thinking": True, "tool_choice": "none"}
    content, reasoning, calls, reason = everywhere(server, ASK, **none)
    jsonschema.validate(json.loads(content), SCHEMA)
    assert reasoning and (calls, reason) == ([], "stop")


def test_a_prompt_that_ends_in_a_thought(server: Served) -> None:
    prompt = f"<|turn>user\n{ASK[0]['content']}<turn|>\n<|turn>model\n<|channel>thought\nThe user"
    body = {k: v for k, v in GUIDE.items() if k != "tools"} | {"text_input": prompt}
    content, reasoning, _, reason = join([generate(server, body)])
    jsonschema.validate(json.loads(content), SCHEMA)
    assert reasoning and reason == "stop"


@pytest.mark.parametrize("one", [True, False])
def test_an_agents_loop(client: OpenAI, one: bool) -> None:
    """As the Agents SDK, LangChain, pydantic-ai and the Vercel AI SDK send it: tools and form in
    every turn."""
    options = {"model": MODEL, "temperature": 0, "max_tokens": 300, "tools": [WEATHER],
               "response_format": FORM, "parallel_tool_calls": not one}  # fmt: skip
    first = client.chat.completions.create(messages=ASK, **options).choices[0]
    (call,) = first.message.tool_calls
    assert (first.finish_reason, first.message.content) == ("tool_calls", None)
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    last = client.chat.completions.create(messages=after(call.model_dump()), **options).choices[0]
    assert last.finish_reason == "stop" and not last.message.tool_calls
    assert Report.model_validate_json(last.message.content)
    with client.chat.completions.stream(
        messages=after(call.model_dump()), **options | {"logprobs": True}
    ) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.message.content == last.message.content
    assert "".join(t.token for t in final.logprobs.content) == last.message.content


def test_parsed_helpers(client: OpenAI) -> None:
    options = {"model": MODEL, "temperature": 0}
    chat = client.chat.completions.parse(
        messages=ASK, tools=[STRICT], response_format=Report, max_tokens=300, **options
    )
    message = chat.choices[0].message
    assert message.parsed is None and message.tool_calls[0].function.parsed_arguments
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id}
    chat = client.chat.completions.parse(
        messages=[*ASK, message.model_dump(), result | {"content": json.dumps(RESULT)}],
        tools=[STRICT], response_format=Report, max_tokens=300, **options,
    )  # fmt: skip
    assert isinstance(chat.choices[0].message.parsed, Report)
    flat = {"type": "function"} | STRICT["function"]
    answer = client.responses.parse(
        input=ASK[0]["content"], tools=[flat], text_format=Report, max_output_tokens=300, **options
    )
    (call,) = answer.output
    assert (call.type, call.name) == ("function_call", "get_weather")
    items = [
        {"role": "user", "content": ASK[0]["content"]},
        call.model_dump(),
        {"type": "function_call_output", "call_id": call.call_id, "output": json.dumps(RESULT)},
    ]  # fmt: skip
    again = client.responses.parse(
        input=items, tools=[flat], text_format=Report, max_output_tokens=300, **options
    )
    assert isinstance(again.output_parsed, Report)


def test_thinking_with_a_form_and_with_a_forced_call(client: OpenAI) -> None:
    options = {"model": MODEL, "temperature": 0, "reasoning_effort": "low", "max_tokens": 400}
    formed = client.chat.completions.create(messages=ASK, response_format=FORM, **options)
    message = formed.choices[0].message
    assert message.reasoning_content and Report.model_validate_json(message.content)
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        forced = {"messages": ASK, "tools": [WEATHER], "tool_choice": choice,
                  "response_format": FORM, "parallel_tool_calls": False, **options}  # fmt: skip
        whole = client.chat.completions.create(**forced).choices[0]
        assert whole.message.reasoning_content and whole.finish_reason == "tool_calls"
        (call,) = whole.message.tool_calls
        assert set(json.loads(call.function.arguments)) == {"city"}
        with client.chat.completions.stream(**forced) as stream:
            final = stream.get_final_completion().choices[0]
        assert final.message.tool_calls[0].function.arguments == call.function.arguments
    answer = client.responses.create(
        model=MODEL, input=ASK[0]["content"], temperature=0, reasoning={"effort": "low"},
        text={"format": {"type": "json_schema", "name": "report", "schema": SCHEMA}},
        max_output_tokens=400,
    )  # fmt: skip
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert Report.model_validate_json(answer.output_text)
    assert answer.usage.output_tokens_details.reasoning_tokens > 0


@pytest.mark.parametrize("responses", [False, True])
def test_langchain(gateway: RunningGateway, responses: bool) -> None:
    model = ChatOpenAI(
        base_url=gateway.url + "/v1", api_key="any", model=MODEL, temperature=0, max_tokens=300,
        use_responses_api=responses,
    ).bind_tools([STRICT], response_format=Report, strict=True)  # fmt: skip
    messages = [HumanMessage(ASK[0]["content"])]
    first = model.invoke(messages)
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Oslo"})
    last = model.invoke(
        [*messages, first, ToolMessage(json.dumps(RESULT), tool_call_id=call["id"])]
    )
    assert not last.tool_calls and isinstance(last.additional_kwargs["parsed"], Report)
