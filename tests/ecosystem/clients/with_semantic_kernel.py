"""Semantic Kernel's service of OpenAI's form, with a plugin that the model calls."""

import sys
from typing import Literal

import openai
from checking import MODEL, QUESTION, V1, WEATHER, report
from pydantic import BaseModel
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.contents import ChatHistory
from semantic_kernel.exceptions import ServiceResponseException
from semantic_kernel.functions import kernel_function


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


class Weather:
    def __init__(self) -> None:
        self.cities = []

    @kernel_function(description="Get the current weather of a city")
    def get_weather(self, city: str) -> str:
        self.cities.append(city)
        return '{"condition": "sunny"}'


def service(model: str = MODEL) -> OpenAIChatCompletion:
    client = openai.AsyncOpenAI(base_url=V1, api_key="any", max_retries=0)
    return OpenAIChatCompletion(ai_model_id=model, async_client=client)


def asked(text: str = QUESTION) -> ChatHistory:
    history = ChatHistory()
    history.add_user_message(text)
    return history


GREEDY = OpenAIChatPromptExecutionSettings(temperature=0)


async def chat() -> None:
    answer = await service().get_chat_message_content(asked(), GREEDY)
    assert "Paris" in answer.content and answer.finish_reason == "stop"
    assert answer.metadata["usage"].completion_tokens > 0


async def stream() -> None:
    parts = service().get_streaming_chat_message_content(asked(), GREEDY)
    assert "Paris" in "".join([str(part) async for part in parts])


async def tool_loop() -> None:
    weather, kernel = Weather(), Kernel()
    kernel.add_plugin(weather, "weather")
    settings = OpenAIChatPromptExecutionSettings(
        temperature=0, function_choice_behavior=FunctionChoiceBehavior.Auto()
    )
    answer = await service().get_chat_message_content(asked(WEATHER), settings, kernel=kernel)
    assert weather.cities == ["Oslo"], answer
    assert answer.content


async def form() -> None:
    settings = OpenAIChatPromptExecutionSettings(temperature=0, response_format=Review)
    answer = await service().get_chat_message_content(asked(), settings)
    Review.model_validate_json(answer.content)


async def unknown_model() -> None:
    try:
        await service("nothing").get_chat_message_content(asked(), GREEDY)
    except ServiceResponseException as error:
        assert isinstance(error.__cause__, openai.NotFoundError), error
    else:
        raise AssertionError("ServiceResponseException was not raised")


sys.exit(
    report(chat=chat, stream=stream, tool_loop=tool_loop, form=form, unknown_model=unknown_model)
)
