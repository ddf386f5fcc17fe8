"""Items in, events out, checked with the types of the openai package."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gemma4_client import InvalidRequestError
from gemma4_client.results import Delta
from gemma4_gateway.answers.merge import whole
from gemma4_gateway.answers.response_events import ResponseEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.responses import ResponsesRequest
from gemma4_gateway.translate.failures import engine_refusal
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.request_plan import EngineCall, Plan
from gemma4_gateway.translate.responses import plan_responses
from gemma4_testing.cases.gateway_answers import LISTED, answers, cuts, delta
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

EVENT = TypeAdapter(ResponseStreamEvent)
CALL = EngineCall([], None, None, {})
SAMPLING = {"temperature": 0.5, "top_p": 0.95, "presence_penalty": 0.0, "frequency_penalty": 0.0}


def machine(**more: Any) -> ResponseEvents:
    planned = plan_responses(ResponsesRequest.model_validate({"model": "m", "input": "x"}))
    made = replace(planned, plan=Plan("m", [CALL], True, b"", **more))
    return ResponseEvents(made, answer_id="resp_1", created=1, sampling=lambda: SAMPLING)


def usage(last: Delta) -> UsageCount:
    count = UsageCount(1, per_prompt=1)
    count.add(0, last)
    return count


def parse(data: bytes) -> list[dict[str, Any]]:
    parts = data.decode().split("\n\n")
    assert parts.pop() == ""
    found = []
    for part in parts:
        name, payload = part.split("\n")
        value = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        EVENT.validate_python(value)
        found.append(value)
    assert [v["sequence_number"] for v in found] == list(range(len(found)))
    return found


def without_ids(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in output]


def rebuilt(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output as a client that only adds up deltas has it."""
    items: dict[int, dict[str, Any]] = {}
    for event in events:
        kind, at = event["type"], event.get("output_index")
        if kind == "response.output_item.added":
            items[at] = {"type": event["item"]["type"], "text": ""}  # type: ignore[index]
        elif kind.endswith(".delta"):
            items[at]["text"] += event["delta"]  # type: ignore[index]
    return [items[i] for i in sorted(items)]


def texts(output: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"type": i["type"], "text": i["arguments"] if i["type"] == "function_call" else i["content"][0]["text"]}
        for i in output
    ]  # fmt: skip


@given(answers(), st.sampled_from(["none", "native"]), st.booleans())
def test_events_and_body_agree(deltas: list[Delta], mode: str, one: bool) -> None:
    events = machine(tool_mode=mode, one_tool_call=one)
    data = b"".join(events.chunk(0, d, None) for d in deltas) + events.end(usage(deltas[-1]))
    seen = parse(data)
    assert seen[0]["type"] == "response.created"
    last = seen[-1]["response"]
    cut = deltas[-1].finish_reason == "length"
    assert seen[-1]["type"] == ("response.incomplete" if cut else "response.completed")
    Response.model_validate(last)
    done = [e["item"] for e in seen if e["type"] == "response.output_item.done"]
    assert done == last["output"]
    assert rebuilt(seen) == texts(last["output"])
    joined = whole(deltas)
    for kind, text in (("message", joined.text), ("reasoning", joined.reasoning)):
        assert "".join(t["text"] for t in texts(last["output"]) if t["type"] == kind) == text
    calls = [t for t in texts(last["output"]) if t["type"] == "function_call"]
    expected = [] if mode == "none" else joined.tool_calls
    assert len(calls) == (min(1, len(expected)) if one else len(expected))


@given(cuts(LISTED))
def test_required_calls(pieces: list[str]) -> None:
    events = machine(tool_mode="required")
    data = b"".join(events.chunk(0, delta(p, index=i), None) for i, p in enumerate(pieces))
    last = delta(finish="stop")
    output = parse(data + events.chunk(0, last, None) + events.end(usage(last)))[-1]["response"][
        "output"
    ]
    assert [(i["name"], i["arguments"]) for i in output] == [("f", '{"a": "é"}'), ("g", "{}")]


@given(cuts('{"a": 1}'))
def test_named_call(pieces: list[str]) -> None:
    events = machine(tool_mode="named", tool_name="f")
    data = b"".join(events.chunk(0, delta(p, index=i), None) for i, p in enumerate(pieces))
    last = delta(finish="stop")
    output = parse(data + events.chunk(0, last, None) + events.end(usage(last)))[-1]["response"][
        "output"
    ]
    assert [(i["name"], i["arguments"]) for i in output] == [("f", '{"a": 1}')]


def test_an_error_is_the_last_event() -> None:
    events = machine()
    events.chunk(0, delta("x"), None)
    data = events.error(ApiError(503, "gone", code="backend_lost")).decode()
    value = json.loads(data.split("data: ")[1])
    assert value["type"] == "error" and value["message"] == "gone"
    assert value["error"]["code"] == value["code"] == "backend_lost"
    EVENT.validate_python(value)


TURN = [
    {"role": "user", "content": [{"type": "input_text", "text": "Hi "}, {"type": "input_text", "text": "you"}]},
    {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}], "status": "completed"},
    {"type": "message", "id": "m", "role": "assistant", "status": "completed",
     "content": [{"type": "output_text", "text": "A", "annotations": [], "logprobs": []}]},
    {"type": "function_call", "id": "fc", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}", "parsed_arguments": {}},
    {"type": "function_call_output", "call_id": "c1", "output": "1"},
    {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
]  # fmt: skip


def test_items_become_messages() -> None:
    call = {"type": "function"}
    messages, names = input_messages("Be kind", TURN)  # type: ignore[arg-type]
    assert names == {
        "messages[0]": "instructions", "messages[0].content": "instructions",
        "messages[1]": "input[0]", "messages[1].content": "input[0].content",
        "messages[2]": "input[1]", "messages[2].reasoning_content": "input[1].content",
        "messages[2].content": "input[2].content",
        "messages[2].tool_calls[0]": "input[3]", "messages[2].tool_calls[0].function": "input[3]",
        "messages[2].tool_calls[0].id": "input[3].call_id",
        "messages[2].tool_calls[1]": "input[4]", "messages[2].tool_calls[1].function": "input[4]",
        "messages[2].tool_calls[1].id": "input[4].call_id",
        "messages[3]": "input[5]", "messages[3].content": "input[5].output",
        "messages[3].tool_call_id": "input[5].call_id", "messages[3].role": "input[5].type",
        "messages[4]": "input[6]", "messages[4].content": "input[6].output",
        "messages[4].tool_call_id": "input[6].call_id", "messages[4].role": "input[6].type",
    }  # fmt: skip
    assert messages == [
        {"role": "system", "content": "Be kind"},
        {"role": "user", "content": [{"type": "text", "text": "Hi "}, {"type": "text", "text": "you"}]},
        {
            "role": "assistant", "content": "A", "reasoning_content": "hm",
            "tool_calls": [
                call | {"id": "c1", "function": {"name": "f", "arguments": "{}"}},
                call | {"id": "c2", "function": {"name": "g", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("messages[0].content: x", "instructions"),
        ("messages[2].tool_calls[1].function.arguments: x", "input[4].arguments"),
        ("messages[2].tool_calls[1].function.name: x", "input[4].name"),
        ("messages[2].tool_calls[0].id: x", "input[3].call_id"),
        ("messages[2].content: x", "input[2].content"),
        ("messages[2].reasoning_content: x", "input[1].content"),
        ("messages[4].tool_call_id: x", "input[6].call_id"),
        ("messages[4].content[0].text: x", "input[6].output[0].text"),
        ("messages[1]: x", "input[0]"),
    ],
)
def test_a_refusal_of_the_engine_names_the_item_and_its_field(message: str, param: str) -> None:
    _, names = input_messages("Be kind", TURN)  # type: ignore[arg-type]
    refused = InvalidRequestError(message, field=message.removesuffix(": x"))
    assert engine_refusal(refused, names).param == param


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"type": "computer_call"}, "input[0].type"),
        ({}, "input[0].type"),
        ({"role": "root", "content": "x"}, "input[0].role"),
        ({"role": "user", "content": [{"type": "input_image"}]}, "input[0].content[0].type"),
        ({"role": "user", "content": None}, "input[0].content"),
        ({"role": "user", "content": "x", "mood": 1}, "input[0].mood"),
        ({"type": "function_call", "name": "f", "arguments": "{}"}, "input[0].call_id"),
        ({"type": "function_call_output", "call_id": "c", "output": 5}, "input[0].output"),
        ({"type": "reasoning", "summary": [], "encrypted_content": "x"}, "input[0].encrypted_content"),
    ],
)  # fmt: skip
def test_items_that_cannot_be_read(item: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        input_messages(None, [item])
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_the_plan() -> None:
    body = {
        "model": "m", "input": "x", "instructions": "i", "max_output_tokens": 5, "temperature": 0,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": False,
    }  # fmt: skip
    made = plan_responses(ResponsesRequest.model_validate(body)).plan
    options = made.calls[0].options
    assert (made.tool_mode, made.tool_name, made.one_tool_call) == ("named", "f", True)
    assert options["max_tokens"] == 5 and options["guided_decoding_guide_type"] == "json_schema"
    assert made.names["max_tokens"] == "max_output_tokens"
    thinking = plan_responses(
        ResponsesRequest.model_validate(
            {"model": "m", "input": "x", "reasoning": {"effort": "low"}}
        )
    ).plan
    assert thinking.calls[0].options == {"enable_thinking": True}
    sampling = {
        "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.2,
        "min_p": 0.3, "repetition_penalty": 1.2, "top_k": 40,
    }  # fmt: skip
    drawn = ResponsesRequest.model_validate({"model": "m", "input": "x", "seed": 7} | sampling)
    assert plan_responses(drawn).plan.calls[0].options == sampling | {"random_seed": 7}
    form = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}
    guided = {"model": "m", "input": "x", "text": form}
    made = plan_responses(ResponsesRequest.model_validate(guided)).plan
    assert json.loads(made.calls[0].options["guided_decoding_guide"]) == {"type": "object"}
    both = guided | {"reasoning": {"effort": "high"}, "tools": body["tools"]}
    made = plan_responses(ResponsesRequest.model_validate(both)).plan
    assert made.tool_mode == "native"
    assert made.calls[0].options == {
        "guided_decoding_guide_type": "json_schema", "guided_decoding_guide": '{"type": "object"}',
        "enable_thinking": True,
    }  # fmt: skip
    assert made.names["guided_decoding_guide"] == "text.format"
