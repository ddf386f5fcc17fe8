"""Events say what the whole body says, for any answer and any cut into chunks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gemma4_client import Delta
from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.answers.chat_whole import chat_body
from gemma4_gateway.answers.completion import CompletionEvents, completion_body
from gemma4_gateway.answers.logprobs import TokenLogProb
from gemma4_gateway.answers.merge import whole
from gemma4_gateway.answers.sse import event, on_one_line
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import EngineCall, Plan
from gemma4_testing.cases.gateway_answers import LISTED, NATIVE, answers, cuts, delta
from hypothesis import given
from hypothesis import strategies as st

CALL = EngineCall([], None, None, {})


def plan(**more: Any) -> Plan:
    return Plan("m", [CALL], True, b"", **more)


def parse(data: bytes) -> list[Any]:
    events = data.decode().split("\n\n")
    assert events.pop() == ""
    assert all(e.startswith("data: ") and "\n" not in e for e in events)
    assert events[-1] == "data: [DONE]"
    return [json.loads(e[6:]) for e in events[:-1]]


def joined(chunks: list[dict[str, Any]]) -> tuple[Any, ...]:
    deltas = [c["choices"][0]["delta"] for c in chunks if c["choices"]]
    calls: dict[int, dict[str, Any]] = {}
    for part in (p for d in deltas for p in d.get("tool_calls", [])):
        call = calls.setdefault(part["index"], {"arguments": ""})
        call["name"] = part["function"].get("name", call.get("name"))
        call["arguments"] += part["function"]["arguments"]
    return (
        "".join(d.get("content", "") for d in deltas),
        "".join(d.get("reasoning_content", "") for d in deltas),
        [calls[i] for i in sorted(calls)],
        [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1],
    )


def test_thoughts_have_both_names() -> None:
    made = plan()
    deltas = [delta(reasoning="hm"), delta("a", finish="stop", index=1)]
    chunks = streamed(made, deltas)
    shown = [c["choices"][0]["delta"] for c in chunks]
    assert {"reasoning_content": "hm", "reasoning": "hm"} in shown
    message = body(made, deltas)["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == "hm"


def test_log_probs_beside_a_thought_are_kept() -> None:
    log_prob = TokenLogProb(b"a", -0.5, 0)
    events = ChatEvents(plan(log_probs=True), answer_id="a", created=1)
    data = events.chunk(0, delta("a", reasoning="hm", finish="stop"), [log_prob])
    chunks = parse(data + b"data: [DONE]\n\n")
    shown = [c["choices"][0]["logprobs"] for c in chunks]
    assert [t["token"] for s in shown if s for t in s["content"]] == ["a"]


@given(answers(), st.sampled_from(["none", "native", "required"]), st.booleans())
def test_continuous_usage(deltas: list[Delta], mode: str, whole_text: bool) -> None:
    """Every chunk says the tokens of its choice so far, and only then."""
    made = plan(tool_mode=mode, include_usage=True, continuous_usage=True)
    if whole_text:
        events: Any = CompletionEvents(made, answer_id="a", created=1)
    else:
        events = ChatEvents(made, answer_id="a", created=1)
    usage = UsageCount(1, per_prompt=1)
    usage.add(0, deltas[-1])
    for made_of in deltas:
        data = events.chunk(0, made_of, None)
        for one in parse(data + b"data: [DONE]\n\n"):
            assert one["usage"]["completion_tokens"] == made_of.completion_tokens
            assert one["usage"]["prompt_tokens"] == 7
            assert one["usage"]["total_tokens"] == 7 + made_of.completion_tokens
    assert parse(events.end(usage))[-1]["usage"] == usage.body()


def test_calls_that_are_not_allowed_are_left_out() -> None:
    g = NATIVE[0] | {"function": {"name": "g", "arguments": "{}"}}
    deltas = [delta(calls=[NATIVE[0], g]), delta(finish="tool_calls", index=1)]
    made = plan(tool_mode="native", allowed=frozenset(["g"]))
    assert joined(streamed(made, deltas)) == said(body(made, deltas))
    assert [call["name"] for call in joined(streamed(made, deltas))[2]] == ["g"]
    none = plan(tool_mode="native", allowed=frozenset(["h"]))
    assert joined(streamed(none, deltas)) == said(body(none, deltas)) == ("", "", [], "stop")


def said(body: dict[str, Any]) -> tuple[Any, ...]:
    choice = body["choices"][0]
    message = choice["message"]
    calls = [
        {"arguments": c["function"]["arguments"], "name": c["function"]["name"]}
        for c in message.get("tool_calls", [])
    ]
    return (
        message["content"] or "", message.get("reasoning_content", ""), calls,
        choice["finish_reason"],
    )  # fmt: skip


def streamed(made: Plan, deltas: list[Delta]) -> list[Any]:
    events = ChatEvents(made, answer_id="a", created=1)
    data = b"".join(events.chunk(0, d, None) for d in deltas)
    usage = UsageCount(1, per_prompt=1)
    usage.add(0, deltas[-1])
    return parse(data + events.end(usage))


def body(made: Plan, deltas: list[Delta]) -> dict[str, Any]:
    return chat_body(
        made,
        [whole(deltas)],
        None,
        answer_id="a",
        created=1,
        usage=UsageCount(1, per_prompt=1),
    )


@given(st.text() | st.sampled_from(["\x85", "a\u2028b", "\u2029", "\x0b\x1c", "é\\u2028"]))
def test_an_event_has_one_data_line_for_every_reader(text: str) -> None:
    """str.splitlines, which readers use, knows more line ends than server-sent events have."""
    data = on_one_line(event({"text": text}))
    line, rest = data.decode().splitlines()
    assert rest == "" and json.loads(line.removeprefix("data: ")) == {"text": text}


@given(answers(), st.sampled_from(["none", "native"]), st.booleans(), st.booleans())
def test_chat(deltas: list[Delta], mode: str, one: bool, usage: bool) -> None:
    made = plan(tool_mode=mode, one_tool_call=one, include_usage=usage)
    chunks = streamed(made, deltas)
    assert joined(chunks) == said(body(made, deltas))
    assert (chunks[-1].get("usage") is not None) == usage
    assert {c["id"] for c in chunks} == {"a"}


@given(cuts(LISTED), st.booleans(), st.integers(0, len(LISTED)))
def test_required_calls(pieces: list[str], one: bool, most: int) -> None:
    text = "".join(pieces)[:most]
    deltas = (
        [delta(p, index=i) for i, p in enumerate(pieces)] if most == len(LISTED) else [delta(text)]
    )
    deltas.append(delta(finish="stop", index=len(deltas)))
    made = plan(tool_mode="required", one_tool_call=one and most == len(LISTED))
    assert joined(streamed(made, deltas)) == said(body(made, deltas))


@given(cuts('{"city": "Zürich"}'))
def test_named_call(pieces: list[str]) -> None:
    deltas = [delta(p, index=i) for i, p in enumerate(pieces)]
    deltas.append(delta(finish="stop", index=len(deltas)))
    made = plan(tool_mode="named", tool_name="f")
    chunks = streamed(made, deltas)
    assert joined(chunks) == said(body(made, deltas))
    assert joined(chunks)[2] == [{"name": "f", "arguments": '{"city": "Zürich"}'}]


@given(answers())
def test_completion(deltas: list[Delta]) -> None:
    made = plan()
    events = CompletionEvents(made, answer_id="a", created=1)
    chunks = parse(
        b"".join(events.chunk(0, d, None) for d in deltas) + events.end(UsageCount(1, per_prompt=1))
    )
    choice = completion_body(
        made,
        [whole(deltas)],
        None,
        answer_id="a",
        created=1,
        usage=UsageCount(1, per_prompt=1),
    )["choices"][0]
    assert "".join(c["choices"][0]["text"] for c in chunks) == choice["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == choice["finish_reason"]


def test_usage_counts_a_shared_prompt_once() -> None:
    usage = UsageCount(4, per_prompt=2)
    for i in range(4):
        usage.add(i, replace(delta("x", finish="stop", index=3), reasoning_tokens=3))
    assert usage.body() == {
        "prompt_tokens": 14, "completion_tokens": 16, "total_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }  # fmt: skip
