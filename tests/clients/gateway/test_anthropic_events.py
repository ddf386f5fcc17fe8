"""Events of /v1/messages say what the whole message says; both have the types of the anthropic
package."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from gemma4_client import Delta
from gemma4_gateway.answers.anthropic_errors import anthropic_error, anthropic_event
from gemma4_gateway.answers.merge import whole
from gemma4_gateway.answers.message_events import MessageEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.errors import ApiError
from gemma4_gateway.translate.request_plan import EngineCall, Plan
from gemma4_testing.cases.gateway_answers import LISTED, answers, cuts, delta
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
CALL = EngineCall([], None, None, {"max_tokens": 5})
ORDER = {
    "message_start": {"ping"},
    "ping": {"content_block_start", "message_delta"},
    "content_block_start": {"content_block_delta", "content_block_stop"},
    "content_block_delta": {"content_block_delta", "content_block_stop"},
    "content_block_stop": {"content_block_start", "message_delta"},
    "message_delta": {"message_stop"},
}
"""Which event may follow which."""


def machine(*, thoughts: bool = True, **more: Any) -> MessageEvents:
    made = Plan("m", [CALL], True, b"", **more)
    return MessageEvents(made, answer_id="msg_1", thoughts=thoughts)


def usage(last: Delta) -> UsageCount:
    count = UsageCount(1, per_prompt=1)
    count.add(0, last)
    return count


def streamed(events: MessageEvents, deltas: list[Delta]) -> list[dict[str, Any]]:
    data = b"".join(events.chunk(0, d, None) for d in deltas) + events.end(usage(deltas[-1]))
    parts = data.decode().split("\n\n")
    assert parts.pop() == ""
    found = []
    for part in parts:
        name, payload = part.split("\n")
        value = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {value['type']}"
        if value["type"] != "ping":
            EVENT.validate_python(value)
        found.append(value)
    kinds = [value["type"] for value in found]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert all(after in ORDER[before] for before, after in pairwise(kinds))
    return found


def rebuilt(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The message as a client that adds up deltas has it."""
    message: dict[str, Any] = events[0]["message"]
    inputs: dict[int, str] = {}
    for event in events:
        at = event.get("index", -1)
        if event["type"] == "content_block_start":
            assert at == len(message["content"])
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            for name, value in event["delta"].items():
                if name == "partial_json":
                    inputs[at] = inputs.get(at, "") + value
                elif name != "type":
                    message["content"][at][name] += value
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event["usage"]
    for at, text in inputs.items():
        message["content"][at]["input"] = json.loads(text)
    return message


def whole_message(events: MessageEvents, deltas: list[Delta]) -> dict[str, Any]:
    joined = whole(deltas)
    events.chunk(0, joined, None)
    found = events.body(usage(joined))
    Message.model_validate(found)
    return found


def merged_blocks(message: dict[str, Any]) -> dict[str, Any]:
    """Texts of each kind in one: a whole answer is one chunk, which has one text of each."""
    texts = dict.fromkeys(("text", "thinking"), "")
    calls = []
    for block in message["content"]:
        if block["type"] == "tool_use":
            calls.append((block["name"], block["input"]))
        else:
            texts[block["type"]] += block[block["type"]]
    return message | {"content": (texts, calls)}


@given(answers(), st.sampled_from(["none", "native"]), st.booleans(), st.booleans())
def test_events_and_message_agree(
    deltas: list[Delta], mode: str, one: bool, thoughts: bool
) -> None:
    options: dict[str, Any] = {"tool_mode": mode, "one_tool_call": one, "thoughts": thoughts}
    told = rebuilt(streamed(machine(**options), deltas))
    said = whole_message(machine(**options), deltas)
    assert merged_blocks(told) == merged_blocks(said)
    joined = whole(deltas)
    texts, calls = merged_blocks(said)["content"]
    assert texts == {"text": joined.text, "thinking": joined.reasoning if thoughts else ""}
    expected = [] if mode == "none" else joined.tool_calls
    assert len(calls) == (min(1, len(expected)) if one else len(expected))


@given(cuts(LISTED))
def test_required_calls(pieces: list[str]) -> None:
    deltas = [delta(p, index=i) for i, p in enumerate(pieces)] + [delta(finish="stop")]
    message = rebuilt(streamed(machine(tool_mode="required"), deltas))
    assert [(b["name"], b["input"]) for b in message["content"]] == [("f", {"a": "é"}), ("g", {})]
    assert all(b["id"].startswith("toolu_") for b in message["content"])
    assert message["stop_reason"] == "tool_use"


@given(cuts('{"city": "Zürich"}'))
def test_a_named_call(pieces: list[str]) -> None:
    deltas = [delta(p, index=i) for i, p in enumerate(pieces)] + [delta(finish="stop")]
    events = streamed(machine(tool_mode="named", tool_name="f"), deltas)
    assert sum(e["type"] == "content_block_delta" for e in events) == sum(map(bool, pieces))
    assert rebuilt(events)["content"][0]["input"] == {"city": "Zürich"}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"a": "x", "b": [1, 2', {"a": "x", "b": [1, 2]}), ('{"a": "x', {}), ("{", {}),
        ('{"a": 1}', {"a": 1}), ("[1]", {}), ("x", {}),
        ('{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
    ],
)  # fmt: skip
def test_the_input_of_a_call_that_was_cut_off(text: str, read: dict[str, Any]) -> None:
    options: dict[str, Any] = {"tool_mode": "named", "tool_name": "f"}
    message = whole_message(machine(**options), [delta(text, finish="length", index=9)])
    assert message["content"][0]["input"] == read
    assert message["stop_reason"] == "max_tokens"


CALLS = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("last", "mode", "stop"),
    [
        (delta("x", finish="stop"), "none", ("end_turn", None)),
        (replace(delta("x", finish="stop"), stop_reason="é"), "none", ("stop_sequence", "é")),
        (delta("x", finish="length", index=4), "none", ("max_tokens", None)),
        (delta("x", finish="length", index=3), "none", ("model_context_window_exceeded", None)),
        (delta(calls=CALLS, finish="tool_calls"), "native", ("tool_use", None)),
        (delta(calls=CALLS, finish="tool_calls"), "none", ("end_turn", None)),
        (delta(calls=CALLS, finish="length", index=9), "native", ("max_tokens", None)),
    ],
)
def test_why_it_stopped(last: Delta, mode: Any, stop: tuple[str, str | None]) -> None:
    message = whole_message(machine(tool_mode=mode), [last])
    assert (message["stop_reason"], message["stop_sequence"]) == stop


def test_usage_leaves_the_cached_tokens_out() -> None:
    last = replace(delta("x", finish="stop"), reasoning_tokens=1)
    assert whole_message(machine(), [last])["usage"] == {
        "input_tokens": 4, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0,
        "output_tokens": 1, "output_tokens_details": {"thinking_tokens": 1},
        "service_tier": "standard",
    }  # fmt: skip


def test_thoughts_have_a_signature_even_without_their_text() -> None:
    deltas = [delta(reasoning="hm"), delta("x", finish="stop", index=1)]
    shown, hidden = (rebuilt(streamed(machine(thoughts=t), deltas)) for t in (True, False))
    assert shown["content"][0]["signature"] == hidden["content"][0]["signature"] != ""
    assert (shown["content"][0]["thinking"], hidden["content"][0]["thinking"]) == ("hm", "")


@pytest.mark.parametrize("words", ["", "the prompt is too long: "])
def test_a_prompt_that_is_too_long_says_so_in_anthropics_words(words: str) -> None:
    error = ApiError(400, f"messages: {words}9 tokens; shorten it", code="context_length_exceeded")
    told = anthropic_error(error, "req_1")["error"]
    assert told == {
        "type": "invalid_request_error",
        "message": "prompt is too long: messages: 9 tokens; shorten it",
    }


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, None, "invalid_request_error"), (401, "missing_api_key", "authentication_error"),
        (403, None, "permission_error"), (404, "model_not_found", "not_found_error"),
        (405, None, "invalid_request_error"), (408, "body_timeout", "timeout_error"),
        (413, "body_too_large", "request_too_large"), (415, None, "invalid_request_error"),
        (429, "requests_per_minute", "rate_limit_error"), (429, "overloaded", "overloaded_error"),
        (429, "gateway_full", "overloaded_error"), (500, "engine_error", "api_error"),
        (503, "draining", "overloaded_error"), (503, "backend_lost", "api_error"),
        (504, "timeout", "timeout_error"),
    ],
)  # fmt: skip
def test_types_of_errors(status: int, code: str | None, kind: str) -> None:
    error = ApiError(status, "why", code=code)
    body = anthropic_error(error, "req_1")
    assert body == {
        "type": "error", "error": {"type": kind, "message": "why"}, "request_id": "req_1",
    }  # fmt: skip
    assert (
        anthropic_event(error, "req_1")
        == b"event: error\ndata: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"
    )
