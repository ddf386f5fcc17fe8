"""CrewAI: its LLM class, and a crew of one agent with a tool."""

import os
import sys
from typing import Any, Literal

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "OTEL_SDK_DISABLED": "true",
               "CREWAI_TRACING_ENABLED": "false"}  # fmt: skip

from checking import MODEL, QUESTION, V1, raises, report
from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool as as_tool
from pydantic import BaseModel


class Review(BaseModel):
    mood: Literal["good", "bad"]
    fine: bool


def llm(model: str = MODEL, **more: Any) -> LLM:
    return LLM(
        model=model, provider="openai", base_url=V1, api_key="any", temperature=0, max_retries=0,
        max_tokens=200, **more,
    )  # fmt: skip


@as_tool("get_weather")
def get_weather(city: str) -> str:
    """Get the current weather of a city"""
    return '{"condition": "sunny"}'


def chat() -> None:
    assert "Paris" in llm().call(QUESTION)


def stream() -> None:
    assert "Paris" in llm(stream=True).call(QUESTION)


def form() -> None:
    answer = llm().call(QUESTION, response_model=Review)
    if isinstance(answer, str):
        answer = Review.model_validate_json(answer)
    assert isinstance(answer, Review)


def crew() -> None:
    agent = Agent(
        role="Weather", goal="Tell the weather", backstory="Brief.", llm=llm(), tools=[get_weather],
        max_iter=2, verbose=False,
    )  # fmt: skip
    task = Task(description="What is the weather in Oslo?", expected_output="text", agent=agent)
    result = Crew(agents=[agent], tasks=[task], verbose=False).kickoff()
    assert result.raw and result.token_usage.completion_tokens > 0, result


def unknown_model() -> None:
    """CrewAI has no exception of its own for it: a ValueError, with OpenAI's as its cause."""
    raises(ValueError, lambda: llm("nothing").call(QUESTION), "Model nothing not found", "404")


sys.exit(report(chat=chat, stream=stream, form=form, crew=crew, unknown_model=unknown_model))
