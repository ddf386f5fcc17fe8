"""Which tokens a guide may draw with the llguidance inside the wheel."""

from __future__ import annotations

from pathlib import Path

from gemma4_runtime.guides.matchers import matchers_of
from gemma4_runtime.output.vocab import load_token_table

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
