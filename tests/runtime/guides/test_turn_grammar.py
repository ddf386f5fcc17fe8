"""What an answer around a guide can be: tables, and random walks through the masks."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.errors import RequestError
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.read import read_guide
from gemma4_runtime.guides.turn_grammar import TurnTokens, turn_grammar
from gemma4_runtime.limits import Limits
from gemma4_runtime.messages import (
    GenerationRequest,
    GuidedDecoding,
    Prelude,
    SamplingParams,
)
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.vocab import TokenTable
from gemma4_testing.cases.honest_guides import HONEST
from gemma4_testing.cases.turn_texts import ANSWERS, FORMS, NAMES, SCHEMA, fits
from llguidance import LLMatcher, LLTokenizer
from tokenizers import Tokenizer

EOS = (1, 106, 50)
TOOLS = NAMES
PRELUDES = [Prelude(t, c) for t in ("none", "may", "open") for c in ((), TOOLS)]


@pytest.fixture(scope="module")
def lark(table: TokenTable) -> Callable[[GuidedDecoding, Prelude | None], str]:
    tokens = TurnTokens.of(table)

    def make(guided: GuidedDecoding, prelude: Prelude | None) -> str:
        form = guide_grammar(guided)
        return form if prelude is None else turn_grammar(form, prelude, tokens)

    return make


@pytest.fixture(scope="module")
def matcher(
    checkpoint: Path, lark: Callable[[GuidedDecoding, Prelude | None], str]
) -> Callable[[GuidedDecoding, Prelude | None], LLMatcher]:
    tokenizer = LLTokenizer((checkpoint / "tokenizer.json").read_text())

    def new(guided: GuidedDecoding, prelude: Prelude | None) -> LLMatcher:
        made = LLMatcher(tokenizer, lark(guided, prelude))
        assert not made.get_error()
        return made

    return new


@pytest.fixture(scope="module")
def encode(checkpoint: Path) -> Callable[[str], list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def accepts(made: LLMatcher, ids: list[int]) -> bool:
    return (
        made.validate_tokens(ids) == len(ids) and made.consume_tokens(ids) and made.is_accepting()
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prelude", PRELUDES)
def test_which_answers_fit(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher],
    encode: Callable[[str], list[int]],
    form: str,
    prelude: Prelude,
) -> None:
    guided, texts = GuidedDecoding(*FORMS[form][:2]), FORMS[form][2:]
    for kind, text in ANSWERS(*texts):
        expected = fits(kind, prelude.thought, tools=bool(prelude.tools), loose=False)
        made = matcher(guided, prelude)
        assert bool(accepts(made, encode(text))) == expected, (kind, text)


def test_no_marker_stands_in_free_text(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher],
    encode: Callable[[str], list[int]],
    table: TokenTable,
) -> None:
    """Not in a thought, not in an argument, not in a guided string."""
    guided = GuidedDecoding("json_schema", json.dumps(SCHEMA))
    for begun, end in (
        ("<|channel>thought\nhm", table.control.think_close),
        ('<|tool_call>call:get{a:<|"|>x', table.control.quote),
        ('{"a": "x', None),
    ):
        made = matcher(guided, Prelude("may", TOOLS))
        assert made.consume_tokens(encode(begun))
        mask = int.from_bytes(made.compute_bitmask(), "little")
        allowed = {i for i in range(len(table.pieces)) if mask >> i & 1}
        assert allowed & table.special == ({end} if end is not None else set())
        assert len(allowed) > 3000


def test_a_grammar_that_cannot_be_used_is_no_answer(table: TokenTable) -> None:
    with pytest.raises(RequestError, match="the grammar of the answer"):
        turn_grammar("%llguidance {}\nstart: nowhere", Prelude("may"), TurnTokens.of(table))


@pytest.mark.parametrize("name", ["a", "a.b", "x-y", "_", "9", "A" * 64, ".."])
def test_every_name_of_a_tool(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher],
    encode: Callable[[str], list[int]],
    name: str,
) -> None:
    made = matcher(GuidedDecoding("json"), Prelude("none", (name, "other")))
    assert made.consume_tokens(encode(f"<|tool_call>call:{name}{{}}<tool_call|>"))
    assert made.is_accepting()


def test_a_long_thought_costs_the_same_each_token(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher],
) -> None:
    made = matcher(GuidedDecoding("json"), Prelude("may", ()))
    made.consume_token(100)
    for token in range(20_000):
        assert made.consume_token(600 + token % 3000)
    assert not made.get_error()
    assert made.consume_token(101)


@pytest.mark.parametrize(("kind", "name", "text"), HONEST, ids=[name for _, name, _ in HONEST])
def test_the_form_is_what_it_is_alone(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher], kind: str, name: str, text: str
) -> None:
    """The same tokens are allowed at every step. At the first there are calls and thoughts too, and
    all spellings of a forced beginning: alone, llguidance allows only the tokenizer's own."""
    limits = Limits(max_prompt_tokens=2047, max_total_tokens=2048)
    values = {"guided_decoding_guide_type": kind, "guided_decoding_guide": text}
    guided = read_guide(values, limits, CAPABILITIES["llama_cpp"], reach=10_000)
    alone, beside = matcher(guided, None), matcher(guided, Prelude("may", TOOLS))
    rng = random.Random(name)
    for step in range(40):
        first, second = (int.from_bytes(m.compute_bitmask(), "little") for m in (alone, beside))
        assert first & ~second == 0
        assert first == second if step else second >> 48 & second >> 100 & 1
        allowed = [i for i in range(first.bit_length()) if first >> i & 1 and i not in EOS]
        if not allowed:
            break
        token = rng.choice(allowed)
        assert alone.consume_token(token) and beside.consume_token(token)
        assert alone.is_stopped() == beside.is_stopped()
        if alone.is_stopped():
            break


def walk(made: LLMatcher, rng: random.Random, ends: set[int]) -> list[int]:
    """Random tokens of the masks, with a leaning to those that lead to the end; None when they do
    not come to it."""
    ids: list[Any] = []
    while len(ids) < 600 and not made.is_stopped():
        mask = int.from_bytes(made.compute_bitmask(), "little")
        allowed = [i for i in range(mask.bit_length()) if mask >> i & 1]
        near = [i for i in allowed if i in ends]
        token = rng.choice(near if near and rng.random() < 0.5 else allowed)
        ids.append(token)
        assert made.consume_token(token)
    return ids if made.is_stopped() else None


def read(
    ids: list[int], prelude: Prelude, table: TokenTable, chunk: int
) -> tuple[str, bytes, list[tuple[str, str]], str]:
    request = GenerationRequest(
        key="k", input_ids=[2], sampling=SamplingParams(max_tokens=1, stop_token_ids=EOS),
        channel="reasoning" if prelude.thought == "open" else "content", parse_tools=True,
    )  # fmt: skip
    assembler = StreamAssembler(request, table, prompt_tokens=1)
    parts = {"content": b"", "reasoning": b""}
    calls = []
    for at in range(0, len(ids), chunk):
        assembler.push(ids[at : at + chunk])
        if at + chunk >= len(ids):
            assembler.finish("stop")
        taken = assembler.take()
        for segment in taken.segments:
            parts[segment.channel] += segment.data
        calls += [(call.name, call.arguments) for call in taken.tool_calls]
    return parts["content"].decode(), parts["reasoning"], calls, assembler.finish_reason


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prelude", PRELUDES)
def test_random_answers_are_calls_or_the_form(
    matcher: Callable[[GuidedDecoding, Prelude | None], LLMatcher],
    table: TokenTable,
    encode: Callable[[str], list[int]],
    form: str,
    prelude: Prelude,
) -> None:
    guided = GuidedDecoding(*FORMS[form][:2])
    rng = random.Random(f"{form}{prelude}")
    ends = {49, 50, 52, 101, *EOS, *encode("}"), *encode('"'), *encode("}}"), *encode("{}")}
    ended, seen = 0, set()
    for _ in range(30):
        ids = walk(matcher(guided, prelude), rng, ends)
        if ids is None:
            continue
        ended += 1
        content, reasoning, calls, reason = answer = read(ids, prelude, table, len(ids))
        assert read(ids, prelude, table, 1) == answer
        assert not reasoning or prelude.thought != "none"
        if calls:
            assert (content, reason) == ("", "tool_calls") and prelude.tools
            for name, arguments in calls:
                assert name in NAMES and isinstance(json.loads(arguments), dict)
            seen.add("calls")
        else:
            assert reason == "stop"
            check(guided, content)
            seen.add("form")
    assert ended >= 10, "the walks must come to an end"
    assert seen == ({"calls", "form"} if prelude.tools else {"form"})


def check(guided: GuidedDecoding, text: str) -> None:
    if guided.kind == "regex":
        assert re.fullmatch(guided.guide, text)
    elif guided.kind == "grammar":
        assert text in ("yes", "no{}")
    else:
        jsonschema.validate(json.loads(text), json.loads(guided.guide or '{"type": "object"}'))
