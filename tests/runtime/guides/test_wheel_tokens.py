"""Which tokens a guide may draw with the llguidance inside the wheel, and with that of Python."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from gemma4_runtime.capabilities import Enforcer
from gemma4_runtime.guides.grammar import guide_grammar
from gemma4_runtime.guides.matchers import matchers_of
from gemma4_runtime.guides.turn_grammar import TurnTokens, turn_grammar
from gemma4_runtime.messages import GuidedDecoding, Prelude
from gemma4_runtime.output.vocab import load_token_table
from gemma4_testing.cases.turn_texts import NAMES

TOKENIZER = Path(__file__).parents[3] / "demo" / "checkpoint" / "tokenizer.json"
GRAMMAR = '%llguidance {}\nstart: "a" | "}" | "\U0001f600"'


def test_byte_tokens_are_drawn_only_where_no_other_token_is_that_byte() -> None:
    """A model never learned the others, and what it thinks of them says nothing."""
    table = load_token_table(TOKENIZER)
    mask = matchers_of(TOKENIZER, enforcer="wheel", byte_tokens=True)(GRAMMAR).mask()
    allowed = {token for token in range(len(table.pieces)) if mask >> token & 1}
    assert {table.pieces[token] for token in allowed} == {b"a", b"}", b"\xf0"}
    assert {table.pieces[token] for token in allowed & table.byte_ids} == {b"\xf0"}


def test_letters_are_tokens_of_one_byte() -> None:
    table = load_token_table(TOKENIZER)
    letters = table.letters()
    assert all(table.pieces[token] == bytes([byte]) for byte, token in letters.items())
    assert ord("a") in letters and not set(letters.values()) & (table.byte_ids | table.special)


FORMS = [
    GuidedDecoding("json", ""),
    GuidedDecoding("regex", "[0-9]{1,9}|\\[[a-z]{1,20}\\]"),
    GuidedDecoding("regex", "(.|\\n){0,40}"),
]
ENDS = (1, 50, 106)
TRIED = 12
"""Tokens of one mask that are drawn, and as many that are special or of one byte."""


@pytest.mark.parametrize("thought", ["none", "may", "open"])
@pytest.mark.parametrize("tools", [(), NAMES], ids=["no tools", "tools"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.guide or form.kind)
@pytest.mark.parametrize("enforcer", ["wheel", "package"])
def test_what_a_mask_allows_can_be_drawn(
    enforcer: Enforcer, form: GuidedDecoding, tools: tuple[str, ...], thought: str
) -> None:
    """On random walks. A token that is allowed and then refused ends the guide: the rest of the
    answer is free, and is thrown away."""
    table = load_token_table(TOKENIZER)
    prelude = Prelude(thought, tools)  # type: ignore[arg-type]
    grammar = turn_grammar(guide_grammar(form), prelude, TurnTokens.of(table))
    new = matchers_of(TOKENIZER, enforcer=enforcer, byte_tokens=True)
    odd = table.byte_ids | table.special
    choice, path = random.Random(1), list[int]()
    for _ in range(6):
        matcher = new(grammar)
        assert matcher.consume(path)
        mask = matcher.mask()
        allowed = [token for token in range(len(table.pieces)) if mask >> token & 1]
        unusual = sorted(odd.intersection(allowed))
        for some in (allowed, unusual):
            for token in choice.sample(some, min(TRIED, len(some))):
                assert new(grammar).consume([*path, token]), (path, token, table.pieces[token])
        if not allowed or (token := choice.choice(unusual or allowed)) in ENDS:
            break
        path.append(token)
