"""Turns and blocks of Anthropic's API -> messages, and the way back for the names in errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_client import InvalidRequestError
from gemma4_gateway.body.route import validated
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.anthropic import CountTokensRequest, MessagesRequest
from gemma4_gateway.schemas.anthropic_thinking import Thinking
from gemma4_gateway.translate.anthropic import plan_messages
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.request_plan import Plan

HI = {"role": "user", "content": "hi"}


def plan(**more: Any) -> Plan:
    body = {"model": "m", "max_tokens": 9, "messages": [HI], **more}
    made = validated(MessagesRequest, json.dumps(body).encode())
    assert isinstance(made, MessagesRequest)
    return plan_messages(made)


def messages(**more: Any) -> list[dict[str, Any]]:
    made = plan(**more).calls[0].messages
    assert made is not None
    return made


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


SHORT = {"role": "system", "content": "be brief"}
FALLBACK = {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}, "trigger": None}
CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "global"}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "é"}}
OTHER = {
    "type": "tool_use",
    "id": "toolu_2",
    "name": "g",
    "input": {},
    "caller": {"type": "direct"},
}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "1", **CACHED}
OTHERS = {"type": "tool_result", "tool_use_id": "toolu_2", "content": [text("a"), text("b")],
          "is_error": True}  # fmt: skip
TURNS = [
    user(text("Hi ", **CACHED), text("you")),
    assistant(
        {"type": "thinking", "thinking": "hm", "signature": "x"},
        {"type": "redacted_thinking", "data": "x"},
        text("A", citations=None), USE, OTHER,
    ),
    user(RESULT, OTHERS, text("go on")),
]  # fmt: skip


def called(number: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": number, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_a_tool_loop() -> None:
    assert messages(system=[text("Be kind", **CACHED), text("Be brief")], messages=TURNS) == [
        {"role": "system", "content": [text("Be kind"), text("Be brief")]},
        {"role": "user", "content": [text("Hi "), text("you")]},
        {
            "role": "assistant", "content": "A", "reasoning_content": "hm",
            "tool_calls": [called("toolu_1", "f", '{"a": "é"}'), called("toolu_2", "g", "{}")],
        },
        {"role": "tool", "tool_call_id": "toolu_1", "content": "1"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": [text("Error: a"), text("b")]},
        {"role": "user", "content": "go on"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"system": "s"}, [{"role": "system", "content": "s"}, HI]),
        ({"system": ""}, [HI]),
        ({"system": []}, [HI]),
        ({"system": [text("s")]}, [{"role": "system", "content": "s"}, HI]),
        ({"system": [text("x-anthropic-billing-header: cch=1;"), text("s")]},
         [{"role": "system", "content": "s"}, HI]),
        ({"system": "x-anthropic-billing-header: cch=1;\ns\nt"},
         [{"role": "system", "content": "s\nt"}, HI]),
        ({"system": "say x-anthropic-billing-header: 1"},
         [{"role": "system", "content": "say x-anthropic-billing-header: 1"}, HI]),
        ({"system": "s", "messages": [{"role": "system", "content": "t"}, HI]},
         [{"role": "system", "content": [text("s"), text("t")]}, HI]),
        ({"messages": [HI, HI]}, [{"role": "user", "content": [text("hi"), text("hi")]}]),
        ({"messages": [HI, assistant(text("a")), assistant(text("b")), HI]},
         [HI, {"role": "assistant", "content": "ab"}, HI]),
        ({"messages": [HI, SHORT | {"clear_at": "never"}]}, [HI, SHORT]),
        ({"messages": [HI, SHORT | {"clear_at": "next_user_message"}]}, [HI, SHORT]),
        ({"messages": [HI, SHORT | {"clear_at": "next_user_message"}, assistant(text("a")), HI]},
         [HI, {"role": "assistant", "content": "a"}, HI]),
        ({"messages": [HI, {"role": "system", "output_config": {"effort": "low"}}]}, [HI]),
        ({"messages": [HI, assistant(text("a"), FALLBACK, text("b")), HI]},
         [HI, {"role": "assistant", "content": "ab"}, HI]),
        ({"messages": [HI, assistant(), HI]}, [HI, {"role": "assistant", "content": ""}, HI]),
        ({"messages": [HI, assistant({"type": "thinking", "thinking": "", "signature": ""}), HI]},
         [HI, {"role": "assistant", "content": ""}, HI]),
    ],
)  # fmt: skip
def test_messages(given: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    assert messages(**given) == expected


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"content": ""}, ""), ({}, ""), ({"content": None}, ""), ({"content": []}, ""),
        ({"content": [text("a")]}, "a"), ({"is_error": False, "content": "a"}, "a"),
        ({"is_error": True}, "Error: "), ({"is_error": True, "content": "a"}, "Error: a"),
    ],
)  # fmt: skip
def test_results_of_tools(result: dict[str, Any], shown: str) -> None:
    block = {"type": "tool_result", "tool_use_id": "toolu_1", **result}
    assert messages(messages=[HI, assistant(USE), user(block)])[-1] == {
        "role": "tool", "tool_call_id": "toolu_1", "content": shown,
    }  # fmt: skip


TOOLS = [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "type": "custom"}]


@pytest.mark.parametrize(
    ("given", "options", "mode"),
    [
        ({}, {"max_tokens": 9}, "none"),
        ({"temperature": 0, "top_p": 0.5, "top_k": 3},
         {"max_tokens": 9, "temperature": 0.0, "top_p": 0.5, "top_k": 3}, "none"),
        ({"stop_sequences": ["x"]}, {"max_tokens": 9, "stop_words": ["x"]}, "none"),
        ({"stop_sequences": []}, {"max_tokens": 9}, "none"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}},
         {"max_tokens": 9, "enable_thinking": True}, "none"),
        ({"thinking": {"type": "adaptive", "display": "updates"}},
         {"max_tokens": 9, "enable_thinking": True}, "none"),
        ({"thinking": {"type": "adaptive", "display": "omitted"}},
         {"max_tokens": 9, "enable_thinking": True}, "none"),
        ({"thinking": {"type": "disabled"}}, {"max_tokens": 9}, "none"),
        ({"thinking": {"type": "between_tools"}}, {"max_tokens": 9}, "none"),
        ({"thinking": {"type": "adaptive",
                       "block_binding": {"prefix_mismatch_behavior": "drop_block"}}},
         {"max_tokens": 9, "enable_thinking": True}, "none"),
        ({"tools": TOOLS}, {"max_tokens": 9}, "native"),
        ({"tools": TOOLS, "tool_choice": {"type": "none"}}, {"max_tokens": 9}, "none"),
        ({"tools": TOOLS, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
         {"max_tokens": 9, "parallel_tool_calls": False}, "native"),
        ({"tool_choice": {"type": "auto"}}, {"max_tokens": 9}, "none"),
        ({"output_config": {"effort": "high"}, "metadata": {"user_id": "u"}, "cache_control": {},
          "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}},
         {"max_tokens": 9}, "none"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
         {"max_tokens": 9, "guided_decoding_guide_type": "json_schema",
          "guided_decoding_guide": '{"type": "object"}'}, "none"),
    ],
)  # fmt: skip
def test_options(given: dict[str, Any], options: dict[str, Any], mode: str) -> None:
    made = plan(**given)
    assert (made.calls[0].options, made.tool_mode) == (options, mode)


@pytest.mark.parametrize(
    ("display", "shown"),
    [(None, True), ("summarized", True), ("omitted", False), ("updates", False)],
)
def test_whose_thoughts_are_shown(display: str | None, shown: bool) -> None:
    assert Thinking.model_validate({"type": "adaptive", "display": display}).shown is shown


def test_forced_calls() -> None:
    named = plan(tools=TOOLS, tool_choice={"type": "tool", "name": "f"})
    assert (named.tool_mode, named.tool_name) == ("named", "f")
    some = plan(tools=TOOLS, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    assert some.tool_mode == "required" and some.one_tool_call
    guide = json.loads(some.calls[0].options["guided_decoding_guide"])
    assert guide["maxItems"] == 1


def test_turns_of_a_conversation_prefer_one_back_end() -> None:
    system = [text("x-anthropic-billing-header: cch=1;"), text("s")]
    again = [text("x-anthropic-billing-header: cch=2;"), text("s")]
    first = plan(system=system, messages=TURNS[:1]).affinity
    assert plan(system=again, messages=TURNS).affinity == first


def test_text_of_a_last_assistant_goes_on() -> None:
    made = plan(messages=[HI, assistant(text("The"))]).calls[0]
    assert made.options["continue_final_message"] is True
    assert made.messages is not None and made.messages[-1]["content"] == "The"
    assert "continue_final_message" not in plan(messages=[HI]).calls[0].options
    with pytest.raises(ApiError, match="forces a call") as caught:
        plan(messages=[HI, assistant(text("The"))], tools=TOOLS, tool_choice={"type": "any"})
    assert caught.value.param == "messages[1]"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"messages": [user()]}, "messages[0].content"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [user({"type": "image", "source": {}})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": "document"})]}, "messages[0].content[0].type"),
        ({"messages": [user({"type": ["text"]})]}, "messages[0].content[0].type"),
        ({"messages": [user({})]}, "messages[0].content[0].type"),
        ({"messages": [user(USE)]}, "messages[0].content[0].type"),
        ({"messages": [assistant(RESULT), HI]}, "messages[0].content[0].type"),
        ({"messages": [user(text("a"), {"type": "text"})]}, "messages[0].content[1].text"),
        ({"messages": [user(text("a", mood=1))]}, "messages[0].content[0].mood"),
        ({"messages": [user(text("a", citations=[{}]))]}, "messages[0].content[0].citations"),
        ({"messages": [user({"type": "tool_result"})]}, "messages[0].content[0].tool_use_id"),
        ({"messages": [user(RESULT | {"content": [{"type": "image"}]})]},
         "messages[0].content[0].content[0].type"),
        ({"messages": [assistant(USE | {"input": "{}"}), HI]}, "messages[0].content[0].input"),
        ({"messages": [assistant(USE | {"caller": {"type": "code"}}), HI]},
         "messages[0].content[0].caller"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"system": [{"type": "text", "text": 1}]}, "system[0].text"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice"),
        ({"thinking": {"type": "always"}}, "thinking.type"),
        ({"thinking": {"type": "adaptive", "display": "full"}}, "thinking.display"),
        ({"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "x"}}},
         "thinking.block_binding.prefix_mismatch_behavior"),
        ({"messages": [HI | {"clear_at": "never"}]}, "messages[0]"),
        ({"messages": [{"role": "system"}, HI]}, "messages[0]"),
        ({"messages": [SHORT | {"clear_at": "soon"}, HI]}, "messages[0].clear_at"),
        ({"messages": [{"role": "system", "content": [USE], "clear_at": "next_user_message"}, HI]},
         "messages[0].content[0].type"),
        ({"messages": [HI, {"role": "system", "output_config": {"format": {}}}]},
         "messages[1].output_config.format"),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
         "context_management.edits[0].type"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"seed": 1}, "seed"),
    ],
)  # fmt: skip
def test_refused_by_name(given: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan(**given)
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.message.startswith(f"{param}: ")


@pytest.mark.parametrize(
    ("field", "param"),
    [
        ("messages[0].content", "system"),
        ("messages[1].content[0].text", "messages[0].content[0].text"),
        ("messages[1].content[1].text", "messages[0].content[1].text"),
        ("messages[2].reasoning_content", "messages[1].content[0].thinking"),
        ("messages[2].content", "messages[1].content[2].text"),
        ("messages[2].tool_calls[0].id", "messages[1].content[3].id"),
        ("messages[2].tool_calls[1].function.name", "messages[1].content[4].name"),
        ("messages[2].tool_calls[1].function.arguments", "messages[1].content[4].input"),
        ("messages[3].content", "messages[2].content[0].content"),
        ("messages[3].tool_call_id", "messages[2].content[0].tool_use_id"),
        ("messages[4].content[1].text", "messages[2].content[1].content[1].text"),
        ("messages[5].content", "messages[2].content[2].text"),
        ("messages[5]", "messages[2]"),
        ("messages", "messages"),
        ("tools[0].function.name", "tools[0].name"),
        ("tools[0].function.parameters.properties", "tools[0].input_schema.properties"),
        ("stop_words[1]", "stop_sequences[1]"),
        ("max_tokens", "max_tokens"),
        ("enable_thinking", "thinking"),
        ("guided_decoding_guide", "output_config.format"),
    ],
)
def test_a_refusal_of_the_engine_names_the_block(field: str, param: str) -> None:
    form = {"format": {"type": "json_schema", "schema": {}}}
    names = plan(system="s", messages=TURNS, tools=TOOLS, output_config=form).names
    refused = InvalidRequestError(f"{field}: x", field=field)
    assert engine_refusal(refused, names).param == param


def test_counting_takes_no_more_than_the_prompt_needs() -> None:
    body = {"model": "m", "messages": TURNS, "tools": TOOLS, "thinking": {"type": "adaptive"}}
    made = validated(CountTokensRequest, json.dumps(body).encode())
    assert isinstance(made, CountTokensRequest)
    (call,) = plan_messages(made).calls
    assert call.options == {"enable_thinking": True}
    assert call.messages == messages(messages=TURNS)
    with pytest.raises(ApiError, match="stream"):
        validated(CountTokensRequest, json.dumps(body | {"stream": True}).encode())
