"""AutoGen's client of OpenAI's form, and an agent of AutoGen's with a tool."""

import sys
from typing import Literal

import openai
from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient
from checking import MODEL, QUESTION, V1, WEATHER, report
from pydantic import BaseModel

INFO = {
    "vision": False, "function_calling": True, "json_output": True, "family": "unknown",
    "structured_output": True,
}  # fmt: skip
ASK = [UserMessage(content=QUESTION, source="user")]


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


def client(model: str = MODEL) -> OpenAIChatCompletionClient:
    return OpenAIChatCompletionClient(
        model=model, base_url=V1, api_key="any", model_info=INFO, temperature=0, max_retries=0
    )


async def chat() -> None:
    answer = await client().create(ASK)
    assert "Paris" in answer.content and answer.finish_reason == "stop"
    assert answer.usage.completion_tokens > 0


async def stream() -> None:
    parts = [part async for part in client().create_stream(ASK, include_usage=True)]
    assert "".join(parts[:-1]) == parts[-1].content and "Paris" in parts[-1].content
    assert parts[-1].usage.completion_tokens > 0


async def agent_loop() -> None:
    cities = []

    async def get_weather(city: str) -> str:
        """Get the current weather of a city"""
        cities.append(city)
        return '{"condition": "sunny"}'

    agent = AssistantAgent(
        "weather", client(), tools=[get_weather], reflect_on_tool_use=True, system_message=None
    )
    result = await agent.run(task=WEATHER)
    assert cities == ["Oslo"], result
    assert result.messages[-1].content


async def form() -> None:
    answer = await client().create(ASK, json_output=Review)
    Review.model_validate_json(answer.content)


async def unknown_model() -> None:
    try:
        await client("nothing").create(ASK)
    except openai.NotFoundError as error:
        assert "nothing" in str(error)
    else:
        raise AssertionError("NotFoundError was not raised")


sys.exit(
    report(chat=chat, stream=stream, agent_loop=agent_loop, form=form, unknown_model=unknown_model)
)
