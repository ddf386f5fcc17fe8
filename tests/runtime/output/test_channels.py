"""Thoughts and tool calls, told apart by token ids."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.messages import (
    Chunk,
    GenerationRequest,
    SamplingParams,
    ToolCall,
    decode_chunk,
    encode,
)
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.call_scalars import QUOTE
from gemma4_runtime.output.render import ChunkText, render
from gemma4_runtime.output.tool_calls import parse_call
from gemma4_runtime.output.vocab import TokenTable
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer


@pytest.fixture(scope="module")
def answer(checkpoint: Path, table: TokenTable) -> Callable[..., Any]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def run(text: str, *, tools: bool = True, reason: str = "stop") -> ChunkText:
        sampling = SamplingParams(max_tokens=100, stop_token_ids=(1, 106, 50))
        request = GenerationRequest(
            key="k", input_ids=[2], sampling=sampling, stream=False, parse_tools=tools
        )
        assembler = StreamAssembler(request, table, prompt_tokens=1)
        assembler.push(tokenizer.encode(text).ids)
        assembler.finish(reason)
        return render(assembler.take())

    return run


@pytest.mark.parametrize(
    ("raw", "reasoning", "content"),
    [
        ("<|channel>thought\nI add.\n<channel|>15", "I add.", "15"),
        ("<|channel>thought\n<channel|>15", "", "15"),
        ("<|channel><channel|>15", "", "15"),
        ("<|channel>thoughtful words<channel|>x", "thoughtful words", "x"),
        ("<|channel>I think\n\n<channel|>x", "I think\n", "x"),
        ("<channel|>stray", "", "stray"),
        ("<|channel>thought\n<|channel>twice<channel|>x", "twice", "x"),
        ("a<|channel>thought\nb<channel|>c", "b", "ac"),
        ("<|channel>thought\nnever closed", "never closed", ""),
        ("a <|think|> b", "", "a  b"),
    ],
)
def test_thoughts(answer: Callable[..., Any], raw: str, reasoning: str, content: str) -> None:
    got = answer(raw)
    assert (got.reasoning_output, got.text_output) == (reasoning, content)


Q = '<|"|>'


@pytest.mark.parametrize(
    ("raw", "name", "arguments"),
    [
        (f"call:get_weather{{city:{Q}Paris{Q}}}", "get_weather", {"city": "Paris"}),
        (
            f"call:f{{a:1,b:-2.5,c:true,d:null,e:[1,{Q}x{Q}]}}",
            "f",
            {"a": 1, "b": -2.5, "c": True, "d": None, "e": [1, "x"]},
        ),
        (f'call:f{{s:{Q}he said "hi", {{x}}, ]\nok{Q}}}', "f", {"s": 'he said "hi", {x}, ]\nok'}),
        (f"call:a.b-c{{o:{{k:{Q}v{Q}}}}}", "a.b-c", {"o": {"k": "v"}}),
        ("f{}", "f", {}),
        (f"call:f{{{Q}key{Q}:1}}", "f", {"key": 1}),
        ("call: f { a : x y }", "f", {"a": "x y"}),
        ("call:f{a:1,a:2}", "f", {"a": 2}),
        ("call:f{a:-1e999,b:1e5}", "f", {"a": "-1e999", "b": 1e5}),
    ],
)
def test_tool_calls(
    answer: Callable[..., Any], raw: str, name: str, arguments: dict[str, Any]
) -> None:
    got = answer(f"<|tool_call>{raw}<tool_call|><|tool_response>")
    (call,) = json.loads(got.tool_calls)
    assert call["function"]["name"] == name
    assert json.loads(call["function"]["arguments"]) == arguments
    assert got.finish_reason == "tool_calls"
    assert got.text_output == ""


def test_parallel_calls_have_their_own_ids(answer: Callable[..., Any]) -> None:
    got = answer(
        "<|tool_call>call:f{a:1}<tool_call|><|tool_call>call:f{a:2}<tool_call|><|tool_response>"
    )
    first, second = json.loads(got.tool_calls)
    assert first["id"] != second["id"]
    assert [json.loads(c["function"]["arguments"])["a"] for c in (first, second)] == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        "call:f{a:",
        f"call:f{{a:{Q}open}}",
        "{a:1}",
        "call:f{a}",
        "call:f{}x",
        "call:f{a:1 b:" + "[" * 200,
    ],
)
def test_a_malformed_call_is_text(answer: Callable[..., Any], body: str) -> None:
    got = answer(f"<|tool_call>{body}<tool_call|>")
    assert got.tool_calls == ""
    assert got.text_output == body.replace(Q, '"')
    assert got.finish_reason == "stop"


def test_a_call_cut_by_the_limit_is_nothing(answer: Callable[..., Any]) -> None:
    got = answer("hm <|tool_call>call:f{a:1", reason="length")
    assert (got.text_output, got.tool_calls, got.finish_reason) == ("hm ", "", "length")


@pytest.mark.parametrize(("reason", "finish"), [("stop", "tool_calls"), ("length", "length")])
def test_a_complete_call_without_its_end_marker_is_a_call(
    answer: Callable[..., Any], reason: str, finish: str
) -> None:
    got = answer(f"hm <|tool_call>call:f{{a:{Q}x{Q}}}", reason=reason)
    (call,) = json.loads(got.tool_calls)
    assert json.loads(call["function"]["arguments"]) == {"a": "x"}
    assert (got.text_output, got.finish_reason) == ("hm ", finish)


def test_an_answer_that_stops_within_a_call_shows_its_text(answer: Callable[..., Any]) -> None:
    got = answer(f"hm <|tool_call>call:f{{a:{Q}x<|tool_response>")
    assert (got.text_output, got.tool_calls, got.finish_reason) == ('hm call:f{a:"x', "", "stop")


@pytest.mark.parametrize("begun", ["<|tool_call>", "<|channel>"])
def test_what_begins_next_ends_a_call(answer: Callable[..., Any], begun: str) -> None:
    end = "<tool_call|>" if begun == "<|tool_call>" else ""
    got = answer(f"<|tool_call>call:f{{a:1}}{begun}call:g{{}}{end}")
    names = [call["function"]["name"] for call in json.loads(got.tool_calls)]
    assert (names, got.reasoning_output) == ((["f", "g"], "") if end else (["f"], "call:g{}"))
    assert got.text_output == ""


def test_a_call_that_cannot_be_read_keeps_its_place(answer: Callable[..., Any]) -> None:
    got = answer("a<|tool_call>call:f{a b:<tool_call|>c<|tool_call>call:g{}<tool_call|>d")
    assert got.text_output == "acall:f{a b:cd"
    assert got.finish_reason == "tool_calls"


def test_raw_prompts_keep_the_call_as_text(answer: Callable[..., Any]) -> None:
    got = answer(f"<|tool_call>call:f{{a:{Q}b{Q}}}<tool_call|>", tools=False)
    assert got.text_output == f"<|tool_call>call:f{{a:{Q}b{Q}}}<tool_call|>"


def test_typed_quotes_do_not_end_a_string() -> None:
    typed = '<|"|>'
    assert parse_call(f"call:f{{a:{QUOTE}{typed}{QUOTE}}}", closed=True) == (
        "f",
        '{"a": "<|\\"|>"}',
    )


@pytest.mark.parametrize("digits", [18, 20, 4299, 4301, 100_000])
@pytest.mark.parametrize("where", ["{{a:{}}}", "{{a:[-{}]}}", "{{a:{{b:{}}}}}"])
def test_a_number_keeps_its_digits(digits: int, where: str) -> None:
    """Python refuses to read integers of more than 4,300 digits, msgpack those beyond 64 bits."""
    number = "9" * digits
    name, arguments = parse_call("call:f" + where.format(number), closed=True)
    assert name == "f" and number in arguments
    chunk = Chunk("k", 0, tool_calls=[ToolCall("c", name, arguments)])
    (call,) = json.loads(render(decode_chunk(encode(chunk))).tool_calls)
    assert call["function"]["arguments"] == arguments
    decimal = json.loads(arguments, parse_int=str)  # whole JSON, whoever reads its numbers
    assert number in repr(decimal)


MARKERS = re.compile(r"<\|tool_call>|<tool_call\|>|<\|channel>|<channel\|>|<\|\"\|>")


@given(st.data())
def test_any_ids_give_chunks_that_can_be_sent(table: TokenTable, data: Any) -> None:
    """Whatever a model samples, no id raises, no marker is text, and each chunk travels."""
    control = table.control
    marks = [control.call_open, control.call_close, control.quote, control.think_open]
    some = [token for piece in (b"call", b":", b"f", b"{", b"}", b"9", b",", b"[", b"-", b".", b"e")
            for token in [table.pieces.index(piece)]]  # fmt: skip
    ids = data.draw(
        st.lists(st.sampled_from(marks + some) | st.integers(0, len(table.pieces) + 5), max_size=60)
    )
    request = GenerationRequest("k", [2], SamplingParams(max_tokens=99), parse_tools=True)
    assembler = StreamAssembler(request, table, prompt_tokens=1)
    chunks = []
    for token in ids:
        assembler.push([token])
        if assembler.pending():
            chunks.append(assembler.take())
    assembler.finish(data.draw(st.sampled_from(["stop", "length"])))
    chunks.append(assembler.take())
    for chunk in chunks:
        text = render(decode_chunk(encode(chunk)))
        assert not MARKERS.search(text.text_output + text.reasoning_output)
        for call in json.loads(text.tool_calls or "[]"):
            assert isinstance(json.loads(call["function"]["arguments"], parse_int=str), dict)


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_an_answer_of_one_call_ends_after_it(
    checkpoint: Path, table: TokenTable, chunk: int
) -> None:
    """And what comes after it, a second call or text, is nobody's."""
    first = "<|tool_call>call:f{a:1}<tool_call|>"
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    ids = tokenizer.encode(first + "<|tool_call>call:g{}<tool_call|>more").ids
    request = GenerationRequest(
        key="k", input_ids=[2], sampling=SamplingParams(max_tokens=99), parse_tools=True,
        one_call=True,
    )  # fmt: skip
    assembler = StreamAssembler(request, table, prompt_tokens=1)
    for at in range(0, len(ids), chunk):
        if assembler.push(ids[at : at + chunk]):
            break
    taken = assembler.take()
    assert [call.name for call in taken.tool_calls] == ["f"]
    assert (taken.segments, taken.finish_reason) == ([], "tool_calls")
    assert taken.ids == tokenizer.encode(first).ids
