"""Log-probs and counts tell the truth: from any sampled ids to what the gateway shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_client import Delta
from gemma4_client.results import merged
from gemma4_gateway.answers.logprobs import (
    TokenLogProbs,
    chat_logprobs,
    completion_logprobs,
)
from gemma4_gateway.answers.response_events import ResponseEvents
from gemma4_gateway.answers.usage import UsageCount
from gemma4_gateway.translate.request_plan import Plan
from gemma4_gateway.translate.responses import ResponsePlan
from gemma4_runtime.output.vocab import TokenTable
from gemma4_testing.cases.answers_of_tokens import deltas_of, shown
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer


@st.composite
def samples(draw: Callable[..., Any], table: TokenTable) -> list[int]:
    control = table.control
    steering = [control.think_open, control.think_close, control.call_open, control.call_close,
                control.quote]  # fmt: skip
    body = [table.pieces.index(p) for p in (b"f", b"{", b"}", b"a", b":", b"1", b",", b'"', b"\n")]
    found: list[int] = draw(
        st.lists(
            st.integers(0, len(table.pieces) + 3)
            | st.sampled_from(sorted(table.byte_ids))
            | st.sampled_from(steering)
            | st.sampled_from(body),
            max_size=40,
        )
    )
    return found


@settings(max_examples=400)
@given(data=st.data())
def test_tokens_make_up_the_text(table: TokenTable, data: Any) -> None:
    """Bytes, offsets and log-probs, over channels, calls, stops and cuts, whole and streamed."""
    ids = data.draw(samples(table))
    options = {
        "reason": data.draw(st.sampled_from(["stop", "length"])),
        "channel": data.draw(st.sampled_from(["content", "reasoning"])),
        "parse_tools": data.draw(st.booleans()),
        "stop": data.draw(st.lists(st.sampled_from(["f{", "a", '":', "\n", "é"]), max_size=2)),
    }
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=8))
    deltas = deltas_of(table, ids, cuts=cuts, **options)
    whole = merged(deltas, index=0)
    tokens = shown(table, deltas)
    text = b"".join(token.data for token in tokens)
    assert text.decode("utf-8", "replace") == whole.text
    numbers = [number for delta in deltas for number, _ in delta.text_tokens]
    assert numbers == sorted(numbers)
    assert sum(token.log_prob for token in tokens) == -sum(set(numbers))
    end = 0
    for token in tokens:
        offset = completion_logprobs([token])["text_offset"][0]
        assert whole.text[:offset] == text[:end].decode("utf-8", "replace")[:offset]
        assert token.data.decode("utf-8", "replace")[:1] in ("\ufffd", whole.text[offset])
        end += len(token.data)
    (once,) = deltas_of(table, ids, stream=False, **options)
    assert chat_logprobs(shown(table, [once])) == chat_logprobs(tokens)
    assert once.reasoning_tokens == whole.reasoning_tokens <= whole.completion_tokens
    if whole.reasoning:
        assert whole.reasoning_tokens


def items_of(
    table: TokenTable, deltas: list[Delta]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Output of /v1/responses for these chunks, and of its stream's events."""
    plan = Plan(
        model="m", calls=[], stream=True, affinity=b"", include_usage=False, log_probs=True,
        tool_mode="native",
    )  # fmt: skip
    planned = ResponsePlan(plan, said={}, called={}, encrypted=False)
    events = ResponseEvents(planned, answer_id="r", created=1, sampling=dict)
    tracker = TokenLogProbs()
    data = b""
    for delta in deltas:
        tokens = [table.pieces[i] if i < len(table.pieces) else b"" for i in delta.ids]
        data += events.chunk(0, delta, tracker.add(tokens, delta))
    usage = UsageCount(1, per_prompt=1)
    streamed = [json.loads(line[6:]) for line in data.splitlines() if line.startswith(b"data: ")]
    return events.body(usage)["output"], streamed


@settings(max_examples=600)
@given(data=st.data())
def test_each_message_of_a_response_has_its_own_tokens(table: TokenTable, data: Any) -> None:
    """Also when a call or a thought comes while the start of a stop string is held."""
    ids = data.draw(samples(table))
    options = {
        "reason": data.draw(st.sampled_from(["stop", "length"])),
        "parse_tools": True,
        "stop": data.draw(
            st.lists(st.sampled_from(["f{", "a", '":', "\n", "é", "ab"]), max_size=2)
        ),
    }
    cuts = data.draw(st.lists(st.integers(0, len(ids)), max_size=40))
    deltas = deltas_of(table, ids, cuts=cuts, **options)
    items, events = items_of(table, deltas)
    messages = [item["content"][0] for item in items if item["type"] == "message"]
    for part in messages:
        shown_bytes = b"".join(bytes(token["bytes"]) for token in part["logprobs"])
        assert shown_bytes.decode("utf-8", "replace") == part["text"] != ""
    assert "".join(part["text"] for part in messages) == merged(deltas, index=0).text
    done = [e for e in events if e["type"] == "response.output_text.done"]
    assert [e["logprobs"] for e in done] == [part["logprobs"] for part in messages]


def test_a_token_that_a_call_divides(table: TokenTable) -> None:
    """Its end may be the start of a stop string, and comes after the call."""
    ids = [table.pieces.index(b"is"), *call_ids(table), table.pieces.index(b"a")]
    items, _ = items_of(
        table, deltas_of(table, ids, cuts=range(len(ids)), parse_tools=True, stop=["sx"])
    )
    assert [item["type"] for item in items] == ["message", "function_call", "message"]
    first, last = (items[i]["content"][0] for i in (0, 2))
    assert (first["text"], last["text"]) == ("i", "sa")
    assert [token["token"] for token in first["logprobs"]] == ["i"]
    assert [token["token"] for token in last["logprobs"]] == ["s", "a"]


def call_ids(table: TokenTable) -> list[int]:
    find = table.pieces.index
    return [table.control.call_open, find(b"f"), find(b"{"), find(b"}"), table.control.call_close]


@pytest.fixture(scope="module")
def answer(checkpoint: Path, table: TokenTable) -> Callable[..., tuple[str, Delta]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def run(text: str, **options: Any) -> tuple[str, Delta]:
        deltas = deltas_of(table, tokenizer.encode(text).ids, reason="stop", **options)
        return b"".join(t.data for t in shown(table, deltas)).decode(), deltas[-1]

    return run


def test_an_answer_that_begins_in_a_thought(answer: Callable[..., tuple[str, Delta]]) -> None:
    text, last = answer("a<channel|>b", channel="reasoning")
    assert (text, last.completion_tokens, last.reasoning_tokens) == ("b", 3, 2)
    usage = UsageCount(1, per_prompt=1)
    usage.add(0, last)
    assert usage.reasoning == 2


@pytest.mark.parametrize(
    ("raw", "text", "tools"),
    [
        ("a<|tool_call>call:f{}<tool_call|>b", "ab", True),
        ('a<|tool_call>call:f{x:<|"|>y<tool_call|>b', 'acall:f{x:"yb', True),
        ("a<|tool_call>call:f{}<tool_call|>b", "a<|tool_call>call:f{}<tool_call|>b", False),
        ("a<channel|>b<tool_call|>c", "abc", True),
        ("a<|channel>b<|tool_call>call:f{}<tool_call|>c", "ac", True),
    ],
)
def test_text_after_calls_and_stray_markers_is_there(
    answer: Callable[..., tuple[str, Delta]], raw: str, text: str, tools: bool
) -> None:
    assert answer(raw, parse_tools=tools)[0] == text


def test_most_probable_tokens(table: TokenTable) -> None:
    tracker = TokenLogProbs()
    (delta,) = deltas_of(table, [table.pieces.index(b"is")], stream=False)
    (token,) = tracker.add([b"is"], delta, [[(b"a", -0.1), (b"\xc3", -0.2), (b"\xa9", -0.3)]])
    assert chat_logprobs([token])["content"][0]["top_logprobs"] == [
        {"token": "a", "logprob": -0.1, "bytes": [97]},
        {"token": "\ufffd", "logprob": -0.2, "bytes": [195]},
        {"token": "\ufffd", "logprob": -0.3, "bytes": [169]},
    ]
    legacy = completion_logprobs([token], top=True)["top_logprobs"]
    assert legacy == [{"a": -0.1, "\ufffd": -0.2, "is": token.log_prob}]
    assert completion_logprobs([token])["top_logprobs"] is None


def test_a_stop_string_takes_its_bytes_along(answer: Callable[..., tuple[str, Delta]]) -> None:
    assert answer("one two three", stop=["o th"])[0] == "one tw"
