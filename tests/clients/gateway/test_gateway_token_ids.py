"""return_token_ids: in a stream as in the whole body, none lost, in vLLM's places."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from gemma4_client import Delta
from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.answers.chat_whole import chat_body
from gemma4_gateway.answers.completion import CompletionEvents, completion_body
from gemma4_gateway.answers.merge import whole
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import EngineCall, Plan, ToolMode
from gemma4_testing.cases.gateway_answers import answers
from hypothesis import given
from hypothesis import strategies as st

CALL = EngineCall([], None, None, {})
PROMPTS = {0: [2, 5], 1: [2, 5, 7]}
MODES: list[ToolMode] = ["none", "native", "named", "required"]


def numbered(deltas: list[Delta]) -> list[Delta]:
    """Three ids in each chunk, in order."""
    return [replace(d, ids=[3 * i, 3 * i + 1, 3 * i + 2]) for i, d in enumerate(deltas)]


def parse(data: bytes) -> list[Any]:
    return [json.loads(event.removeprefix("data: ")) for event in data.decode().split("\n\n")[:-1]]


def body_of(made: Any, plan: Plan, deltas: list[list[Delta]]) -> Any:
    usage = UsageCount(2, per_prompt=1)
    return made(plan, [*map(whole, deltas)], None, answer_id="a", created=1, usage=usage,
                prompts=PROMPTS)  # fmt: skip


@given(answers(), answers(), st.sampled_from(MODES), st.booleans())
def test_chat(one: list[Delta], two: list[Delta], mode: ToolMode, usage: bool) -> None:
    plan = Plan("m", [CALL, CALL], True, b"", token_ids=True, tool_mode=mode, tool_name="f",
                include_usage=usage, continuous_usage=usage)  # fmt: skip
    chosen = [numbered(one), numbered(two)]
    body = body_of(chat_body, plan, chosen)
    assert body["prompt_token_ids"] == PROMPTS[0]
    events = ChatEvents(plan, answer_id="a", created=1, prompts=PROMPTS)
    for index, deltas in enumerate(chosen):
        chunks = [c for d in deltas for c in parse(events.chunk(index, d, None))]
        assert [c.get("prompt_token_ids") for c in chunks] == [PROMPTS[index]] + [None] * (
            len(chunks) - 1
        )
        said = [token for c in chunks for token in c["choices"][0].get("token_ids", [])]
        assert said == body["choices"][index]["token_ids"] == [*range(3 * len(deltas))]


@given(answers(), answers())
def test_completion(one: list[Delta], two: list[Delta]) -> None:
    plan = Plan("m", [CALL, CALL], True, b"", token_ids=True)
    chosen = [numbered(one), numbered(two)]
    body = body_of(completion_body, plan, chosen)
    events = CompletionEvents(plan, answer_id="a", created=1, prompts=PROMPTS)
    for index, deltas in enumerate(chosen):
        choices = [c["choices"][0] for d in deltas for c in parse(events.chunk(index, d, None))]
        assert choices[0]["prompt_token_ids"] == PROMPTS[index]
        assert not any("prompt_token_ids" in choice for choice in choices[1:])
        said = [token for choice in choices for token in choice["token_ids"]]
        assert said == body["choices"][index]["token_ids"] == [*range(3 * len(deltas))]
        assert body["choices"][index]["prompt_token_ids"] == PROMPTS[index]


@given(answers())
def test_who_does_not_ask_gets_none(deltas: list[Delta]) -> None:
    plan = Plan("m", [CALL, CALL], True, b"", tool_mode="native")
    for events in (
        ChatEvents(plan, answer_id="a", created=1),
        CompletionEvents(plan, answer_id="a", created=1),
    ):
        assert b"token_ids" not in b"".join(events.chunk(0, d, None) for d in numbered(deltas))
    for made in (chat_body, completion_body):
        assert "token_ids" not in json.dumps(body_of(made, plan, [deltas, deltas]))
