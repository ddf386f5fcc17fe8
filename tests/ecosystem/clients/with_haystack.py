"""Haystack's generators for OpenAI's two forms."""

import os
import sys
from typing import Any, Literal

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import openai
from checking import MODEL, QUESTION, V1, WEATHER, raises, report
from haystack.components.generators.chat import (
    OpenAIChatGenerator,
    OpenAIResponsesChatGenerator,
)
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack.utils import Secret
from pydantic import BaseModel

OPTIONS = {
    "api_key": Secret.from_token("any"), "api_base_url": V1, "max_retries": 0,
    "generation_kwargs": {"temperature": 0},
}  # fmt: skip
ASK = [ChatMessage.from_user(QUESTION)]
TOOL = Tool(
    name="get_weather", description="Get the current weather of a city",
    parameters={
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
    },
    function=lambda city: '{"condition": "sunny"}',
)  # fmt: skip


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


def generator(**more: Any) -> OpenAIChatGenerator:
    return OpenAIChatGenerator(**{"model": MODEL, **OPTIONS, **more})


def chat() -> None:
    (reply,) = generator().run(ASK)["replies"]
    assert "Paris" in reply.text
    assert reply.meta["usage"]["completion_tokens"] > 0


def stream() -> None:
    parts: list[str] = []
    made = generator(streaming_callback=lambda chunk: parts.append(chunk.content))
    (reply,) = made.run(ASK)["replies"]
    assert "Paris" in reply.text and "".join(parts) == reply.text


def tool() -> None:
    asked = [ChatMessage.from_user(WEATHER)]
    for more in ({}, {"streaming_callback": lambda chunk: None}):
        (reply,) = generator(tools=[TOOL], **more).run(asked)["replies"]
        (call,) = reply.tool_calls
        assert call.tool_name == "get_weather" and call.arguments == {"city": "Oslo"}
    result = ChatMessage.from_tool(TOOL.invoke(**call.arguments), origin=call)
    (reply,) = generator(tools=[TOOL]).run([*asked, reply, result])["replies"]
    assert "sunny" in reply.text


def form() -> None:
    options = {"temperature": 0, "response_format": Review}
    (reply,) = generator().run(ASK, generation_kwargs=options)["replies"]
    Review.model_validate_json(reply.text)


def responses() -> None:
    made = OpenAIResponsesChatGenerator(model=MODEL, tools=[TOOL], **OPTIONS)
    (reply,) = made.run(ASK)["replies"]
    assert "Paris" in reply.text
    (reply,) = made.run([ChatMessage.from_user(WEATHER)])["replies"]
    assert [call.arguments for call in reply.tool_calls] == [{"city": "Oslo"}]
    result = ChatMessage.from_tool("sunny", origin=reply.tool_calls[0])
    (reply,) = made.run([ChatMessage.from_user(WEATHER), reply, result])["replies"]
    assert reply.text
    (reply,) = made.run(ASK, streaming_callback=lambda chunk: None)["replies"]
    assert "Paris" in reply.text


def unknown_model() -> None:
    raises(openai.NotFoundError, lambda: generator(model="nothing").run(ASK), "nothing")


sys.exit(
    report(
        chat=chat, stream=stream, tool=tool, form=form, responses=responses,
        unknown_model=unknown_model,
    )
)  # fmt: skip
