"""/v1/responses/compact: what the model is asked, and what takes the conversation's place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gemma4_gateway.body.route import validated
from gemma4_gateway.errors import ApiError
from gemma4_gateway.schemas.compact import CompactRequest
from gemma4_gateway.schemas.responses import MOST_ITEMS, ResponsesRequest
from gemma4_gateway.translate.compaction import compacted, summary_request
from gemma4_gateway.translate.items import input_messages
from gemma4_gateway.translate.kept_items import kept_items
from gemma4_gateway.translate.responses import plan_responses
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseCompactionItem

CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "21"}
SAID = {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
WORDS = st.text(min_size=1)
USER = st.builds(lambda text: {"role": "user", "content": text}, WORDS)
OTHER = st.sampled_from([[CALL, RESULT], [SAID], [{"role": "developer", "content": "d"}]])
CONVERSATIONS = st.lists(USER.map(lambda item: [item]) | OTHER, min_size=1, max_size=6)


def asking(**body: Any) -> ResponsesRequest:
    return summary_request(CompactRequest.model_validate({"model": "m"} | body))


def asked(**body: Any) -> list[dict[str, Any]]:
    plan = plan_responses(asking(**body)).plan
    return plan.calls[0].messages or []


@given(CONVERSATIONS, st.text())
def test_any_conversation(turns: list[list[dict[str, Any]]], summary: str) -> None:
    items = [item for turn in turns for item in turn]
    users = [item["content"] for item in items if item.get("role") == "user"]
    messages = asked(input=items, instructions="Be brief")
    assert messages[0] == {"role": "system", "content": "Be brief"}
    assert messages[-1]["role"] == "user" and "Summarize" in messages[-1]["content"]
    assert messages[1:-1] == input_messages(None, items)[0]
    output = compacted(items, summary)
    ResponseCompactionItem.model_validate(output[-1], strict=True)
    assert [item["content"][0]["text"] for item in output[:-1]] == users
    after, _ = input_messages(None, [*output, {"role": "user", "content": "And now?"}])
    assert [m["content"] for m in after if m["role"] == "user"] == [*users, "And now?"]
    assert after[-2]["role"] == "assistant" and summary in after[-2]["content"]
    assert kept_items(output) == output


def test_what_the_model_is_asked_is_bounded() -> None:
    request = asking(input="x", prompt_cache_key="k")
    assert request.max_output_tokens == 4096
    assert request.prompt_cache_key == "k" and not request.stream
    most = [{"role": "user", "content": "x"}] * (MOST_ITEMS - 1)
    assert len(asking(input=most).input) == MOST_ITEMS


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": "x", "tools": []}, "tools"),
        ({"input": "x", "stream": True}, "stream"),
        ({"input": "x", "image": {"context_compression": "enabled"}}, "image"),
        ({"input": [{}] * MOST_ITEMS}, "input"),
        ({"input": [{"type": "compaction"}]}, "input[0].encrypted_content"),
        ({"input": [{"type": "compaction", "encrypted_content": "abc"}]}, "input[0].encrypted_content"),
        ({"input": [{"type": "compaction", "encrypted_content": "gemma4-1.?"}]}, "input[0].encrypted_content"),
        ({"input": [{"role": "user", "content": "x"}, {"type": "image"}]}, "input[1].type"),
    ],
)  # fmt: skip
def test_bodies_that_are_wrong(body: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        request = validated(CompactRequest, json.dumps({"model": "m"} | body).encode())
        assert isinstance(request, CompactRequest)
        plan_responses(summary_request(request))
    assert (caught.value.status, caught.value.param) == (400, param)
