"""LangChain's packages for OpenAI's and Anthropic's form, and an agent of LangGraph."""

import asyncio
import sys
from typing import Literal

import anthropic as anthropic_package
import openai
from checking import MODEL, QUESTION, URL, V1, WEATHER, raises, report
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

OPTIONS = {"model": MODEL, "api_key": "any", "temperature": 0, "max_retries": 0}
MODEL_OPENAI = ChatOpenAI(base_url=V1, stream_usage=True, **OPTIONS)
MODEL_RESPONSES = ChatOpenAI(base_url=V1, use_responses_api=True, **OPTIONS)
MODEL_ANTHROPIC = ChatAnthropic(base_url=URL, max_tokens=200, **OPTIONS)


@as_tool
def get_weather(city: str) -> str:
    """Get the current weather of a city"""
    return '{"condition": "sunny", "temperature": 21}'


class Review(BaseModel):
    """A review of a city."""

    mood: Literal["good", "bad"]
    fine: bool


def chat() -> None:
    answer = MODEL_OPENAI.invoke(QUESTION)
    assert "Paris" in answer.content
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


def streamed(model: BaseChatModel) -> None:
    chunks = list(model.stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert "Paris" in whole.text
    assert whole.usage_metadata["output_tokens"] > 0, whole


def called(model: BaseChatModel) -> None:
    for choice in ("any", "get_weather"):
        bound = model.bind_tools([get_weather], tool_choice=choice)
        (call,) = bound.invoke(WEATHER).tool_calls
        assert call["name"] == "get_weather" and list(call["args"]) == ["city"]
        whole = None
        for chunk in bound.stream(WEATHER):
            whole = chunk if whole is None else whole + chunk
        assert [c["name"] for c in whole.tool_calls] == ["get_weather"], whole


def form() -> None:
    model = MODEL_OPENAI.with_structured_output(Review)
    assert isinstance(model.invoke("Write a review of Oslo"), Review)
    assert isinstance(MODEL_RESPONSES.with_structured_output(Review).invoke("Oslo"), Review)


def form_by_call() -> None:
    model = MODEL_OPENAI.with_structured_output(Review, method="function_calling")
    assert isinstance(model.invoke("Write a review of Oslo"), Review)
    assert isinstance(MODEL_ANTHROPIC.with_structured_output(Review).invoke("Oslo"), Review)


async def asynchronous() -> None:
    answers = await asyncio.gather(*(MODEL_OPENAI.ainvoke(QUESTION) for _ in range(4)))
    assert all("Paris" in answer.content for answer in answers)
    assert "Paris" in "".join([chunk.content async for chunk in MODEL_OPENAI.astream(QUESTION)])


def responses() -> None:
    answer = MODEL_RESPONSES.invoke(QUESTION)
    assert "Paris" in answer.text
    assert answer.usage_metadata["output_tokens"] > 0
    streamed(MODEL_RESPONSES)
    called(MODEL_RESPONSES)


def anthropic() -> None:
    answer = MODEL_ANTHROPIC.invoke(QUESTION)
    assert "Paris" in answer.text
    assert answer.response_metadata["stop_reason"] == "end_turn"
    streamed(MODEL_ANTHROPIC)
    called(MODEL_ANTHROPIC)


def graph() -> None:
    for model in (MODEL_OPENAI, MODEL_RESPONSES, MODEL_ANTHROPIC):
        agent = create_react_agent(model, [get_weather])
        messages = agent.invoke({"messages": [HumanMessage(WEATHER)]})["messages"]
        assert [m.type for m in messages] == ["human", "ai", "tool", "ai"], messages
        assert "sunny" in messages[-1].text
    steps = list(agent.stream({"messages": [HumanMessage(WEATHER)]}, stream_mode="messages"))
    assert steps


def unknown_model() -> None:
    for model, kind in (
        (ChatOpenAI(base_url=V1, **OPTIONS | {"model": "nothing"}), openai.NotFoundError),
        (ChatAnthropic(base_url=URL, **OPTIONS | {"model": "nothing"}),
         anthropic_package.NotFoundError),
    ):  # fmt: skip
        raises(kind, lambda model=model: model.invoke(QUESTION), "nothing")


def too_long() -> None:
    from langchain_core.exceptions import ContextOverflowError

    long = "word " * 100_000
    for model in (MODEL_OPENAI, MODEL_RESPONSES, MODEL_ANTHROPIC):
        raises(ContextOverflowError, lambda model=model: model.invoke(long))


sys.exit(
    report(
        chat=chat, stream=lambda: streamed(MODEL_OPENAI), tool=lambda: called(MODEL_OPENAI),
        form=form, form_by_call=form_by_call, responses=responses, anthropic=anthropic,
        graph=graph, unknown_model=unknown_model, too_long=too_long, **{"async": asynchronous},
    )
)  # fmt: skip
