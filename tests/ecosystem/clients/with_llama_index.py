"""LlamaIndex's class for servers of OpenAI's form."""

import sys
from typing import Literal

import openai
from checking import MODEL, QUESTION, V1, WEATHER, raises, report
from llama_index.core.llms import ChatMessage
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

OPTIONS = {
    "api_base": V1, "api_key": "any", "is_chat_model": True, "is_function_calling_model": True,
    "context_window": 2048, "temperature": 0, "max_retries": 0,
}  # fmt: skip
LLM = OpenAILike(model=MODEL, **OPTIONS)
ASK = [ChatMessage(role="user", content=QUESTION)]


class Review(BaseModel):
    """A review of a city."""

    mood: Literal["good", "bad"]
    fine: bool


def get_weather(city: str) -> str:
    """Get the current weather of a city"""
    return '{"condition": "sunny"}'


def chat() -> None:
    answer = LLM.chat(ASK)
    assert "Paris" in answer.message.content
    assert answer.raw.usage.completion_tokens > 0


def stream() -> None:
    assert "Paris" in "".join(part.delta or "" for part in LLM.stream_chat(ASK))


def tool() -> None:
    tools = [FunctionTool.from_defaults(get_weather)]
    answer = LLM.chat_with_tools(tools, user_msg=WEATHER, tool_required=True)
    (call,) = LLM.get_tool_calls_from_response(answer)
    assert call.tool_name == "get_weather" and list(call.tool_kwargs) == ["city"]
    result = LLM.predict_and_call(tools, user_msg=WEATHER)
    assert "sunny" in str(result), result


def form() -> None:
    assert isinstance(LLM.as_structured_llm(Review).chat(ASK).raw, Review)
    assert get_function_tool(Review).metadata.name == "Review"
    guided = OpenAILike(model=MODEL, should_use_structured_outputs=True, **OPTIONS)
    assert isinstance(guided.as_structured_llm(Review).complete("Oslo").raw, Review)


async def asynchronous() -> None:
    assert "Paris" in (await LLM.achat(ASK)).message.content
    parts = [part.delta or "" async for part in await LLM.astream_chat(ASK)]
    assert "Paris" in "".join(parts)


def completion() -> None:
    plain = OpenAILike(model=MODEL, **OPTIONS | {"is_chat_model": False, "max_tokens": 20})
    assert plain.complete("The capital of France is").text
    assert "".join(part.delta or "" for part in plain.stream_complete("The capital of"))


def unknown_model() -> None:
    wrong = OpenAILike(model="nothing", **OPTIONS)
    raises(openai.NotFoundError, lambda: wrong.chat(ASK), "nothing")


sys.exit(
    report(
        chat=chat, stream=stream, tool=tool, form=form, completion=completion,
        unknown_model=unknown_model, **{"async": asynchronous},
    )
)  # fmt: skip
