"""Rendering of the demo's chat template."""

from __future__ import annotations

from typing import Any

import pytest
from conversation import TEMPLATE, Example, call_text, prompt_text
from jinja2 import Environment

OFF = "<|turn>model\n<|channel>thought\n<channel|>"
USER = {"role": "user", "content": "Hi"}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather",
        "parameters": {
            "type": "object",
            "properties": {
                "unit": {"type": "string", "enum": ["c", "f"]},
                "city": {"type": "string", "description": "City"},
                "days": {"type": "array", "items": {"type": "integer"}},
            },
            "required": ["city"],
        },
    },
}
DECLARED = (
    '<|tool>declaration:get_weather{description:<|"|>Weather<|"|>,parameters:{properties:{'
    'city:{description:<|"|>City<|"|>,type:<|"|>STRING<|"|>},'
    'days:{items:{type:<|"|>INTEGER<|"|>},type:<|"|>ARRAY<|"|>},'
    'unit:{enum:[<|"|>c<|"|>,<|"|>f<|"|>],type:<|"|>STRING<|"|>}},'
    'required:[<|"|>city<|"|>],type:<|"|>OBJECT<|"|>}}<tool|>'
)


def render(
    *messages: dict[str, Any], tools: tuple[dict[str, Any], ...] = (), thinking: bool = False
) -> str:
    return prompt_text(Example("test", messages, "", tools, thinking))


def assistant(
    content: str = "", *calls: tuple[str, dict[str, Any]], **extra: Any
) -> dict[str, Any]:
    made = [
        {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    return {"role": "assistant", "content": content, "tool_calls": made} | extra


def tool(content: dict[str, str] | str, call: str = "c0") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": content}


def test_thinking_off() -> None:
    assert render(USER) == "<bos><|turn>user\nHi<turn|>\n" + OFF


def test_thinking_on() -> None:
    expected = "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n"
    assert render(USER, thinking=True) == expected


@pytest.mark.parametrize("role", ["system", "developer"])
def test_system_turn_is_trimmed(role: str) -> None:
    text = render({"role": role, "content": " Be brief. \n"}, USER)
    assert text == "<bos><|turn>system\nBe brief.<turn|>\n<|turn>user\nHi<turn|>\n" + OFF


def test_content_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    assert render({"role": "user", "content": parts}).startswith("<bos><|turn>user\nHello<turn|>")


def test_tools_are_declared() -> None:
    assert render(USER, tools=(TOOL,)).startswith(f"<bos><|turn>system\n{DECLARED}<turn|>\n")


def test_unanswered_call_waits_for_the_response() -> None:
    call = call_text("get_weather", {"city": "Rome"})
    text = render(USER, assistant("", ("get_weather", {"city": "Rome"})))
    assert text.endswith(f"<|turn>model\n{call}<|tool_response>")


def test_response_continues_the_model_turn() -> None:
    text = render(USER, assistant("", ("get_weather", {"city": "Rome"})), tool({"sky": "sunny"}))
    call = call_text("get_weather", {"city": "Rome"})
    response = '<|tool_response>response:get_weather{sky:<|"|>sunny<|"|>}<tool_response|>'
    assert text.endswith(f"<|turn>model\n{call}{response}")


def test_text_response_and_parallel_calls() -> None:
    calls = [("get_weather", {"city": "Rome"}), ("get_time", {"city": "Oslo"})]
    text = render(USER, assistant("", *calls), tool("sunny"), tool("12:00", "c1"))
    assert text.endswith(
        '<|tool_response>response:get_weather{value:<|"|>sunny<|"|>}<tool_response|>'
        '<|tool_response>response:get_time{value:<|"|>12:00<|"|>}<tool_response|>'
    )


def test_whole_tool_loop_is_one_turn() -> None:
    text = render(
        USER, assistant("", ("f", {})), tool("1"), assistant("Done."), {**USER, "content": "Bye"}
    )
    response = '<|tool_response>response:f{value:<|"|>1<|"|>}<tool_response|>'
    loop = f"<|turn>model\n<|tool_call>call:f{{}}<tool_call|>{response}Done.<turn|>\n"
    assert text == f"<bos><|turn>user\nHi<turn|>\n{loop}<|turn>user\nBye<turn|>\n{OFF}"


def test_values() -> None:
    arguments = {"z": None, "b": True, "n": -1.5, "l": [1, "x"], "o": {"k": False}}
    text = render(USER, assistant("", ("f", arguments)))
    assert '{b:true,l:[1,<|"|>x<|"|>],n:-1.5,o:{k:false},z:null}' in text


def test_thoughts_of_the_history_are_stripped() -> None:
    spoken = "<|channel>thought\nsecret\n<channel|>Hello"
    text = render(USER, assistant(spoken, reasoning_content="secret"), USER)
    assert "secret" not in text
    assert "<|turn>model\nHello<turn|>\n" in text


def test_thoughts_between_calls_are_kept() -> None:
    loop = (assistant("", ("f", {}), reasoning_content="I call f."), tool("1"))
    kept = "<|channel>thought\nI call f.\n<channel|><|tool_call>call:f{}"
    assert kept in render(USER, *loop)
    assert kept not in render(USER, *loop, assistant("Done."), USER)


def test_no_generation_prompt() -> None:
    template = Environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    assert template.render(messages=[USER], bos_token="") == "<|turn>user\nHi<turn|>\n"
