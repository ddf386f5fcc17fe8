"""The OpenAI Agents SDK, over both of OpenAI's forms."""

import sys
from typing import Literal

from agents import (
    Agent,
    Model,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from checking import MODEL, QUESTION, V1, WEATHER, report
from openai import AsyncOpenAI, NotFoundError
from pydantic import BaseModel

set_tracing_disabled(True)
MODELS = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}
GREEDY = ModelSettings(temperature=0)


def model_of(form: str, name: str = MODEL) -> Model:
    client = AsyncOpenAI(base_url=V1, api_key="any", max_retries=0)
    return MODELS[form](model=name, openai_client=client)


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


def weather_agent(form: str, cities: list[str]) -> Agent:
    @function_tool
    def get_weather(city: str) -> str:
        """Get the current weather of a city"""
        cities.append(city)
        return '{"condition": "sunny", "temperature": 21}'

    return Agent("Weather", tools=[get_weather], model=model_of(form), model_settings=GREEDY)


async def loop(form: str) -> None:
    cities: list[str] = []
    result = await Runner.run(weather_agent(form, cities), WEATHER, max_turns=4)
    assert cities == ["Oslo"], cities
    assert "sunny" in result.final_output, result.final_output
    assert result.context_wrapper.usage.output_tokens > 0
    agent = weather_agent(form, cities)
    again = [*result.to_input_list(), {"role": "user", "content": WEATHER}]
    assert (await Runner.run(agent, again, max_turns=4)).final_output


async def streamed(form: str) -> None:
    cities: list[str] = []
    result = Runner.run_streamed(weather_agent(form, cities), WEATHER, max_turns=4)
    kinds = [event async for event in result.stream_events()]
    names = [event.name for event in kinds if event.type == "run_item_stream_event"]
    assert names == ["tool_called", "tool_output", "message_output_created"], names
    assert cities == ["Oslo"]
    assert "sunny" in result.final_output


async def formed(form: str) -> None:
    agent = Agent("Critic", output_type=Review, model=model_of(form), model_settings=GREEDY)
    result = await Runner.run(agent, "Write a review of Oslo", max_turns=2)
    assert isinstance(result.final_output, Review)


async def handoff() -> None:
    for form in MODELS:
        other = Agent("Geography", model=model_of(form), model_settings=GREEDY)
        first = Agent(
            "Triage", handoffs=[other], model=model_of(form),
            model_settings=ModelSettings(temperature=0, tool_choice="required"),
        )  # fmt: skip
        result = await Runner.run(first, QUESTION, max_turns=4)
        assert result.last_agent is other
        assert result.final_output


async def unknown_model() -> None:
    for form in MODELS:
        try:
            await Runner.run(Agent("Nobody", model=model_of(form, "nothing")), QUESTION)
        except NotFoundError as error:
            assert "nothing" in str(error)
        else:
            raise AssertionError("NotFoundError was not raised")


sys.exit(
    report(
        chat_loop=lambda: loop("chat"), chat_stream=lambda: streamed("chat"),
        chat_form=lambda: formed("chat"), responses_loop=lambda: loop("responses"),
        responses_stream=lambda: streamed("responses"),
        responses_form=lambda: formed("responses"), handoff=handoff, unknown_model=unknown_model,
    )
)  # fmt: skip
