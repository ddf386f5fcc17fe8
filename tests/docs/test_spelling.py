"""Pages, comments, docstrings and messages are in American spelling."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest
from gemma4_testing.repository import PAGES, ROOT, SOURCES, name_of

BRITISH = re.compile(
    r"\b(?:\w*(?:behaviour|colour|favour|honour|neighbour|flavour|harbour|labour)\w*"
    r"|(?:author|apolog|capital|categor|critic|custom|emphas|final|general|initial|local|maxim"
    r"|memor|minim|modern|normal|optim|organ|parallel|penal|prior|quant|random|real|recogn|serial"
    r"|special|stabil|standard|summar|symbol|synchron|token|util|vector|visual)"
    r"is(?:e|es|ed|er|ers|ing|able|ation|ations)"
    r"|analys(?:e|ed|es|ing)|(?:cata|dia|ana)logues?|licences?|cent(?:re|res|red)|fibres?|metres?"
    r"|litres?|grey\w*|programmes?|artefacts?|judgements?|acknowledgements?|whilst|amongst|towards"
    r"|afterwards|for ever|learnt|spelt|burnt|fulfils?|defence|offence|practis\w+|ageing"
    r"|(?:model|label|signal|travel|level|channel|fuel|total)l(?:ed|ing|er|ers)"
    r"|cancel(?:ed|ing))\b",
    re.I,
)
"""British spellings. ``cancelled`` has two l's here, as in gRPC's CANCELLED and in asyncio."""


def found_in(words: str) -> list[str]:
    return BRITISH.findall(re.sub(r"`[^`\n]*`", "", words))


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Give each comment and each string of a source with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_are_american(page) -> None:
    assert not found_in(page.read_text(encoding="utf-8"))


def test_sources_are_american() -> None:
    found = []
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        if path.relative_to(ROOT).parts[0] in ("testing", "tests") or not BRITISH.search(source):
            continue
        for number, words in texts_of(source):
            found += [f"{name_of(path)}:{number}: {word}" for word in found_in(words)]
    assert found == []


@pytest.mark.parametrize("word", ["behaviour", "tokenise", "catalogue", "labelled", "for ever"])
def test_a_british_word_is_found(word: str) -> None:
    assert found_in(f"the {word} of it") == [word]
    assert list(texts_of(f"# the {word}\n")) == [(1, f"# the {word}")]
