"""Histories: what clients send is kept, repaired or refused, and the model sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.errors import RequestError
from gemma4_runtime.input.chat import parse_messages
from gemma4_runtime.input.chat_template import ChatTemplate
from gemma4_runtime.input.text import GUARD, PromptTokenizer, without_thoughts
from gemma4_runtime.limits import Limits
from gemma4_testing.cases.chat_templates import DEMO, SECOND
from hypothesis import given, settings
from hypothesis import strategies as st

LIMITS = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
USER = {"role": "user", "content": "Hi"}
TEMPLATES = [ChatTemplate(SECOND), ChatTemplate(DEMO)]


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Path) -> PromptTokenizer:
    return PromptTokenizer(checkpoint / "tokenizer.json")


def parse(tokenizer: PromptTokenizer, *messages: dict[str, Any]) -> list[dict[str, Any]] | None:
    return parse_messages(json.dumps(messages), LIMITS, tokenizer.guard)


def rendered(tokenizer: PromptTokenizer, *messages: dict[str, Any]) -> str:
    """By the second template, and what the model reads of it."""
    text = TEMPLATES[0].render(parse(tokenizer, *messages), [], thinking=False)
    return text.replace(GUARD, "")


def called(
    arguments: dict[str, Any] | str | None, call_id: str | None = "a", **others: Any
) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    call = {"type": "function", "function": function}
    if call_id is not None:
        call["id"] = call_id
    return {"role": "assistant", "content": None, "tool_calls": [call]} | others


def result(call_id: str | None = "a", **others: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "22"} | others


@pytest.mark.parametrize("text", ['{"city": "Par', '{"a": NaN}', '{"a": 1e999}', "{'a': 1}", '{"a": ' + "9" * 5000 + "}", "call:f{"])  # fmt: skip
def test_arguments_that_cannot_be_read_are_shown_as_text(
    tokenizer: PromptTokenizer, text: str
) -> None:
    """An answer that ``max_tokens`` cut may come back, with a tool message that says so."""
    prompt = rendered(tokenizer, USER, called(text), result())
    assert '<|tool_call>call:f{unreadable_arguments:<|"|>' + text + '<|"|>}<tool_call|>' in prompt


@pytest.mark.parametrize("nothing", ["", " \n", "null", "{}", None, {}])
def test_no_arguments_are_no_arguments(
    tokenizer: PromptTokenizer, nothing: dict[str, Any] | str | None
) -> None:
    assert "<|tool_call>call:f{}<tool_call|>" in rendered(
        tokenizer, USER, called(nothing), result()
    )


def test_unreadable_arguments_cannot_write_control_tokens(tokenizer: PromptTokenizer) -> None:
    typed = '{"a": "<|turn>user'
    parsed = parse(tokenizer, USER, called(typed), result())
    ids = tokenizer.encode_rendered(TEMPLATES[0].render(parsed, [], thinking=False))
    assert ids.count(105) == 2


def test_calls_without_ids_are_answered_by_name(tokenizer: PromptTokenizer) -> None:
    for missing in (None, ""):
        parsed = parse(
            tokenizer, USER, called("{}", missing), result(None, name="f"),
            called("{}", missing), result(missing, name="f"),
        )  # fmt: skip
        ids = [message["tool_calls"][0]["id"] for message in (parsed[1], parsed[3])]
        assert len(set(ids)) == 2
        assert [parsed[2]["tool_call_id"], parsed[4]["tool_call_id"]] == ids


def test_made_ids_are_no_ones_else(tokenizer: PromptTokenizer) -> None:
    calls = called("{}", "call_1")["tool_calls"] + called("{}", None)["tool_calls"]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    parsed = parse(tokenizer, USER, message, result("call_1"), result(None, name="f"))
    assert [call["id"] for call in parsed[1]["tool_calls"]] == ["call_1", "call_2"]


def test_an_id_may_come_again_in_a_later_turn(tokenizer: PromptTokenizer) -> None:
    prompt = rendered(
        tokenizer, USER, called('{"a":1}'), result(), USER, called('{"a":2}'), result(content="23")
    )
    assert prompt.count('response:f{value:<|"|>22') == prompt.count('value:<|"|>23') == 1


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("<|channel>thought\nhm\n<channel|>Hi", "Hi"),
        ("a<|channel>thought\nhm<channel|>b<|channel>x<channel|>c", "abc"),
        ("a<|channel>x<|channel>y<channel|>b", "ab"),
        ("a<|channel>thought\ncut off", "a"),
        ("The marker <|channel> opens.", "The marker <|channel> opens."),
        ("The marker <channel|> closes.", "The marker <channel|> closes."),
        ("<|chan<|channel>x<channel|>nel>", "<|channel>"),
    ],
)
def test_thoughts_of_earlier_answers_are_left_out(
    tokenizer: PromptTokenizer, content: str, kept: str
) -> None:
    assert without_thoughts(content) == kept
    for form in (content, [{"type": "text", "text": content}]):
        parsed = parse(tokenizer, USER, {"role": "assistant", "content": form}, USER)
        assert parsed[1]["content"].replace(GUARD, "") == kept
        assert TEMPLATES[0].render(parsed, [], thinking=False).count("<|channel>") == 1


def test_many_markers_take_no_long_time() -> None:
    assert without_thoughts("<|channel>" * 100_000) == "<|channel>" * 100_000
    assert without_thoughts("<|channel>" * 100_000 + "<channel|>" * 100_000).count("<") == 99_999


@settings(max_examples=150)
@given(pieces=st.lists(st.sampled_from(["<|tu", "rn>", "<|turn>", "<", "|turn>", " ", "\n", "", "a", "<turn|", ">"]), min_size=1, max_size=6), role=st.sampled_from(["user", "system", "assistant"]))  # fmt: skip
def test_parts_never_make_a_control_token_where_they_meet(
    tokenizer: PromptTokenizer, pieces: list[str], role: str
) -> None:
    content = [{"type": "text", "text": piece} for piece in pieces]
    parsed = parse(tokenizer, {"role": role, "content": content}, USER)
    for template in TEMPLATES:
        ids = tokenizer.encode_rendered(template.render(parsed, [], thinking=False))
        assert ids.count(105) == 3
        assert ids.count(106) == 2


def test_several_parts_reach_the_template(tokenizer: PromptTokenizer) -> None:
    parts = [{"type": "text", "text": text} for text in (" a ", "b")]
    assert "<|turn>user\na\nb<turn|>" in rendered(tokenizer, {"role": "user", "content": parts})


def test_a_thought_reaches_a_template_under_either_name(tokenizer: PromptTokenizer) -> None:
    for name in ("reasoning", "reasoning_content"):
        parsed = parse(tokenizer, USER, called("{}", **{name: "hm"}), result())
        assert parsed[1]["reasoning"] == parsed[1]["reasoning_content"] == "hm"


@pytest.mark.parametrize("template", TEMPLATES, ids=["second", "demo"])
def test_tool_results_are_never_dropped(tokenizer: PromptTokenizer, template: ChatTemplate) -> None:
    """What is between a call and its answer is refused, since a template would drop the answer."""
    for between in (
        USER,
        {"role": "system", "content": "a"},
        {"role": "assistant", "content": "a"},
    ):
        with pytest.raises(RequestError, match=r"messages\[1\]\.tool_calls\[0\]\.id: 'a' is not"):
            parse(tokenizer, USER, called("{}"), between, result())
    parsed = parse(tokenizer, USER, called("{}"), result(), USER)
    assert "22" in template.render(parsed, [], thinking=False)
