"""Tools of Anthropic's API that are loaded when a tool_reference block names them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_client import InvalidRequestError
from gemma4_gateway.body.route import validated
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.anthropic import MessagesRequest
from gemma4_gateway.translate.anthropic import plan_messages
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.request_plan import Plan

ASK = {"role": "user", "content": "hi"}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object"}, **more}


def found(*names: str) -> list[dict[str, Any]]:
    """A search for tools, and its result."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": {}}
    parts = [{"type": "tool_reference", "tool_name": name} for name in names]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": parts}
    return [
        ASK, {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]},
    ]  # fmt: skip


def plan(messages: list[dict[str, Any]], tools: list[dict[str, Any]], **more: Any) -> Plan:
    body = {"model": "m", "max_tokens": 9, "messages": messages, "tools": tools, **more}
    made = validated(MessagesRequest, json.dumps(body).encode())
    assert isinstance(made, MessagesRequest)
    return plan_messages(made)


def seen(made: Plan) -> list[str]:
    return [tool["function"]["name"] for tool in made.calls[0].tools or []]


TOOLS = [
    tool("ToolSearch"),
    tool("deferred_a", defer_loading=True),
    tool("plain", defer_loading=False),
    tool("deferred_b", defer_loading=True),
]


@pytest.mark.parametrize(
    ("messages", "more", "names"),
    [
        ([ASK], {}, ["ToolSearch", "plain"]),
        (found(), {}, ["ToolSearch", "plain"]),
        (found("deferred_b"), {}, ["ToolSearch", "plain", "deferred_b"]),
        (found("deferred_b", "deferred_a"), {}, [tool["name"] for tool in TOOLS]),
        (found("plain"), {}, ["ToolSearch", "plain"]),
        (
            [ASK],
            {"tool_choice": {"type": "tool", "name": "deferred_a"}},
            ["ToolSearch", "deferred_a", "plain"],
        ),
    ],
    ids=["none", "nothing found", "one", "both", "not deferred", "chosen"],
)
def test_a_deferred_tool_is_seen_once_it_was_named(
    messages: list[dict[str, Any]], more: dict[str, Any], names: list[str]
) -> None:
    assert seen(plan(messages, TOOLS, **more)) == names


def test_a_reference_is_told_to_the_model() -> None:
    told = plan(found("deferred_a", "plain"), TOOLS).calls[0].messages
    assert told is not None
    assert [part["text"] for part in told[-1]["content"]] == [
        "The tool deferred_a can be called now.",
        "The tool plain can be called now.",
    ]


def test_a_reference_to_a_tool_that_is_not_declared() -> None:
    with pytest.raises(ApiError) as error:
        plan(found("deferred_a", "other"), TOOLS)
    assert error.value.status == 400
    assert error.value.param == "messages[2].content[0].content[1].tool_name"
    assert "'other'" in str(error.value)


def test_a_reference_elsewhere_is_refused() -> None:
    block = {"type": "tool_reference", "tool_name": "plain"}
    with pytest.raises(ApiError, match="tool_result"):
        plan([{"role": "user", "content": [block]}], TOOLS)


def test_all_tools_deferred_is_none() -> None:
    assert seen(plan([ASK], [tool("a", defer_loading=True)])) == []


def test_errors_name_the_tool_as_the_client_sent_it() -> None:
    made = plan([ASK], TOOLS)
    field = "tools[1].function.parameters"
    refused = InvalidRequestError(f"{field}: too deep", field=field)
    assert engine_refusal(refused, made.names).param == "tools[2].input_schema"
