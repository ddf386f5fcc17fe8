"""Thoughts and tool calls, told apart by token ids."""

from __future__ import annotations

import json

import pytest
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import render
from gemma4_runtime.output.tool_calls import MalformedCallError, parse_call
from tokenizers import Tokenizer


@pytest.fixture(scope="module")
def answer(checkpoint, table):
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))

    def run(text: str, *, tools: bool = True, reason: str = "stop"):
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
def test_thoughts(answer, raw, reasoning, content):
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
    ],
)
def test_tool_calls(answer, raw, name, arguments):
    got = answer(f"<|tool_call>{raw}<tool_call|><|tool_response>")
    (call,) = json.loads(got.tool_calls)
    assert call["function"]["name"] == name
    assert json.loads(call["function"]["arguments"]) == arguments
    assert got.finish_reason == "tool_calls"
    assert got.text_output == ""


def test_parallel_calls_have_their_own_ids(answer):
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
def test_a_malformed_call_is_text(answer, body):
    got = answer(f"<|tool_call>{body}<tool_call|>")
    assert got.tool_calls == ""
    assert got.text_output == f"<|tool_call>{body}<tool_call|>"
    assert got.finish_reason == "stop"


def test_an_unfinished_call_is_text(answer):
    got = answer("hm <|tool_call>call:f{a:1", reason="length")
    assert got.text_output == "hm <|tool_call>call:f{a:1"
    assert got.finish_reason == "length"


def test_raw_prompts_keep_the_call_as_text(answer):
    got = answer(f"<|tool_call>call:f{{a:{Q}b{Q}}}<tool_call|>", tools=False)
    assert got.text_output == f"<|tool_call>call:f{{a:{Q}b{Q}}}<tool_call|>"


def test_typed_quotes_do_not_end_a_string():
    parts = [("text", "call:f{a:"), ("string", '<|"|>'), ("text", "}")]
    assert parse_call(parts) == ("f", {"a": '<|"|>'})
    with pytest.raises(MalformedCallError):
        parse_call([("text", "call:f{a:x"), ("string", "y"), ("text", "}")])
