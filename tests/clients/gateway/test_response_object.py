"""Responses and their events have every field that the published specifications require, and what
clients send beside the conversation is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from gemma4_client.results import Delta
from gemma4_gateway.answers.response_events import ResponseEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.responses import ResponsePlan, plan_responses
from gemma4_gateway.translate.thoughts import sealed, unsealed
from gemma4_testing.cases.gateway_answers import delta
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
SAMPLING = {"temperature": 0.5, "top_p": 0.95, "presence_penalty": 0.0, "frequency_penalty": 0.0}

REQUIRED = {
    "response": (
        "id object created_at completed_at status incomplete_details model previous_response_id "
        "instructions output error tools tool_choice truncation parallel_tool_calls text top_p "
        "presence_penalty frequency_penalty top_logprobs temperature reasoning user usage "
        "max_output_tokens max_tool_calls store background service_tier metadata "
        "safety_identifier prompt_cache_key"
    ),
    "message": "type id status role content",
    "output_text": "type text annotations logprobs",
    "reasoning": "type id summary",
    "reasoning_text": "type text",
    "function_call": "type id call_id name arguments status",
    "custom_tool_call": "type call_id name input",
    "function": "type name description parameters strict",
    "json_schema": "type name description schema strict",
}
"""Of the objects of an answer, the fields that Open Responses (2026-04-24) and OpenAI require."""
NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs")
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}}
TOOLS = [
    FUNCTION,
    {"type": "namespace", "name": "ns", "description": "d", "tools": [FUNCTION]},
    {"type": "custom", "name": "patch", "format": {"type": "text"}},
]


def planned(*, drop: bool = False, **more: Any) -> ResponsePlan:
    body = ResponsesRequest.model_validate({"model": "m", "input": "x"} | more)
    return plan_responses(body, drop=drop)


def call(name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"c_{name}", "type": "function", "function": function}


def answered(request: ResponsePlan, *deltas: Delta) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The response to these chunks, and its events."""
    events = ResponseEvents(request, answer_id="r", created=1, sampling=lambda: SAMPLING)
    usage = UsageCount(1, per_prompt=1)
    usage.add(0, deltas[-1])
    data = b"".join(events.chunk(0, d, None) for d in deltas) + events.end(usage)
    lines = data.decode().splitlines()
    seen = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return seen[-1]["response"], seen


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name not in ("parameters", "schema", "tool_choice"):
                yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


REQUESTS: list[dict[str, Any]] = [
    {},
    {"tools": TOOLS, "tool_choice": "auto"},
    {"tools": TOOLS, "tool_choice": {"type": "custom", "name": "patch"}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
    {"text": {"format": {"type": "json_object"}, "verbosity": "medium"}, "user": "u"},
    {"reasoning": {"effort": "high", "summary": "detailed"}, "metadata": {"a": "b"}},
    {"temperature": 0, "top_p": 0.1, "presence_penalty": 1, "frequency_penalty": -1.5,
     "max_tool_calls": 3, "safety_identifier": "s", "prompt_cache_key": "k"},
    {"include": ["reasoning.encrypted_content", "web_search_call.results"],
     "client_metadata": {"thread": "t"}, "max_output_tokens": 5, "service_tier": "auto"},
]  # fmt: skip


@pytest.mark.parametrize("more", REQUESTS, ids=str)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_no_required_field_is_missing(more: dict[str, Any], finish: str) -> None:
    request = planned(**more)
    calls = [call("f", "{}"), call("ns.f", "{}"), call("patch", '{"input": "x"}')]
    request = replace(request, plan=replace(request.plan, tool_mode="native"))
    last = replace(delta("Hi", finish=finish), tool_calls=calls)
    response, seen = answered(request, delta(reasoning="hm"), last)
    for event in seen:
        EVENT.validate_python(event, strict=False)
        for one in objects(event):
            kind = str(one.get("object", one.get("type")))
            missing = set(REQUIRED.get(kind, "").split()) - one.keys()
            assert not missing, (event["type"], kind, missing)
    read = Response.model_validate(response)
    assert all(isinstance(getattr(read, name, 0), int | float) for name in NUMBERS)
    unknown = {n for n in response if n not in Response.model_fields} - {
        "object", "presence_penalty", "frequency_penalty", "store",
    }  # fmt: skip
    assert not unknown
    assert (response["completed_at"] is None) == (finish == "length")
    for name in {*more} - {
        "tools",
        "text",
        "reasoning",
        "include",
        "client_metadata",
        "service_tier",
    }:
        assert response[name] == more[name]


def test_every_required_field_of_the_package_is_there() -> None:
    """Whatever a later version of the package adds as required."""
    response, _ = answered(planned(), delta("Hi", finish="stop"))
    for model, given_ in ((Response, response), (type(Response(**response).output[0]), None)):
        assert issubclass(model, BaseModel)
        shown = response["output"][0] if given_ is None else given_
        required = {n for n, f in model.model_fields.items() if f.is_required()}
        assert not required - shown.keys()


def test_what_is_left_out_is_the_servers() -> None:
    response, _ = answered(planned(top_p=0.2), delta("Hi", finish="stop"))
    assert (response["temperature"], response["top_p"]) == (0.5, 0.2)


def test_calls_come_back_as_the_tools_were_given() -> None:
    request = planned(tools=TOOLS)
    names = [tool["function"]["name"] for tool in request.plan.calls[0].tools or []]
    assert names == ["f", "ns.f", "patch"]
    calls = [call("ns.f", '{"a": 1}'), call("patch", '{"input": "*** é"}'), call("patch", '{"in')]
    last = replace(delta(finish="tool_calls"), tool_calls=calls)
    response, seen = answered(request, last)
    inside, patch, cut = response["output"]
    assert (inside["name"], inside["namespace"], inside["arguments"]) == ("f", "ns", '{"a": 1}')
    assert (patch["type"], patch["input"], cut["input"]) == ("custom_tool_call", "*** é", '{"in')
    kinds = [event["type"] for event in seen]
    assert kinds.count("response.custom_tool_call_input.done") == 2
    again, _ = input_messages(None, response["output"])
    sent = [c["function"] for c in again[0]["tool_calls"]]
    assert sent[0] == {"name": "ns.f", "arguments": '{"a": 1}'}
    assert json.loads(sent[1]["arguments"]) == {"input": "*** é"}


SEARCH = {"type": "web_search", "external_web_access": False}
GRAMMAR = {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark"}}


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [FUNCTION, SEARCH]}, "tools[1].type"),
        ({"tools": [{"type": "local_shell"}]}, "tools[0].type"),
        ({"tools": [GRAMMAR]}, "tools[0].type"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"input": [{"role": "user", "content": "x"}, {"type": "web_search_call"}]}, "input[1].type"),
    ],
)  # fmt: skip
def test_what_does_not_exist_is_refused_or_left_out(more: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError, match="--drop-unsupported") as caught:
        planned(**more)
    assert (caught.value.param, caught.value.code) == (param, "unsupported_parameter")
    kept = planned(drop=True, **more)
    assert kept.plan.calls[0].messages == [{"role": "user", "content": "x"}]
    assert [tool["name"] for tool in kept.said["tools"]] == ["f"] * (
        FUNCTION in more.get("tools", [])
    )


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "namespace", "name": "n" * 63, "tools": [FUNCTION]}]}, "tools[0].tools[0].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "custom", "name": "f"}}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]}}, "tool_choice.tools[0].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "f"}]}}, "tool_choice.tools[0]"),
    ],
)  # fmt: skip
def test_tools_that_are_wrong(more: dict[str, Any], param: str) -> None:
    from gemma4_gateway.body.route import validated

    body = json.dumps({"model": "m", "input": "x"} | more).encode()
    with pytest.raises(ApiError) as caught:
        request = validated(ResponsesRequest, body)
        assert isinstance(request, ResponsesRequest)
        plan_responses(request)
    assert caught.value.param == param


@pytest.mark.parametrize("mode", ["auto", "required", "none"])
def test_allowed_tools(mode: str) -> None:
    allowed = [{"type": "custom", "name": "patch"}]
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    request = planned(tools=TOOLS, tool_choice=choice)
    shown = request.plan.calls[0].tools
    assert [t["function"]["name"] for t in shown or []] == ([] if mode == "none" else ["patch"])
    assert (
        request.plan.tool_mode == {"auto": "native", "required": "required", "none": "none"}[mode]
    )
    assert request.said["tool_choice"] == choice
    assert len(request.said["tools"]) == 3


def test_calls_of_tools_that_are_not_allowed_are_left_out() -> None:
    choice = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "custom", "name": "patch"}],
    }
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("f", "patch", "ns.f")
    ]
    for given_choice, names in ((choice, ["patch"]), ("auto", ["f", "patch", "f"])):
        request = planned(tools=TOOLS, tool_choice=given_choice)
        response, _ = answered(request, delta(calls=calls, finish="tool_calls"))
        assert [item["name"] for item in response["output"]] == names


@given(st.text())
def test_thoughts_come_back(text: str) -> None:
    assert unsealed("x", sealed(text)) == text
    item = {"type": "reasoning", "summary": [], "encrypted_content": sealed(text)}
    messages, _ = input_messages(None, [item, {"role": "user", "content": "y"}])
    assert messages[0].get("reasoning_content", "") == text


def test_thoughts_are_sealed_when_asked_for() -> None:
    sealing = planned(include=["reasoning.encrypted_content"])
    for request, there in ((sealing, True), (planned(), False)):
        response, _ = answered(request, delta(reasoning="hm"), delta("x", finish="stop"))
        thoughts = response["output"][0]
        assert thoughts.get("encrypted_content") == (sealed("hm") if there else None)


@pytest.mark.parametrize("value", ["gAAAA", "gemma4-1.%", "gemma4-1._w==", 5])
def test_thoughts_of_another_server(value: Any) -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": value}
    with pytest.raises(ApiError) as caught:
        input_messages(None, [item])
    assert caught.value.param == "input[0].encrypted_content"
