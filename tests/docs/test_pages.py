"""Every page: its links lead somewhere, its prose has lines of at most 100 characters, and no page,
comment or docstring uses words that only the authors know."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from gemma4_testing.repository import PAGES, SOURCES, name_of

PRIVATE = re.compile(r"DESIGN|\b[Ff]act page|\bfacts/|\b[Ll]aws?\b|\b[Dd]oors?\b")
PUBLIC = re.compile(r"Little's law")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """Lines outside code blocks, tables, headings and links that cannot be broken."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and not line.lstrip().startswith(("|", "<!--")):
            yield number, line


def anchors(text: str) -> set[str]:
    heads = [line.lstrip("#") for _, line in prose(text) if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def words_of(source: str) -> Iterator[tuple[int, str]]:
    """Comments, and strings that stand alone: docstrings."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", "\n".join(line for _, line in prose(text)))
    links += re.findall(r"\]\(([^)\s]+)\)", "\n".join(re.findall(r"^\|.*$", text, re.M)))
    for link in links:
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


def can_be_broken(line: str) -> bool:
    """Whether a shorter line could be made of it: it has a space that is in no code and no link."""
    text = re.sub(r"`[^`]*`|\]\([^)]*\)", "x", line.strip())
    return " " in re.sub(r"^([*-]|\d+\.) ", "", text)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_of_prose_are_at_most_100_characters(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name == "precision.md":  # numbered reasons come from the code, a line each
        text = re.sub(r"^\d+\. .*$", "", text, flags=re.M)
    text = re.sub(r"<!-- parameters.*?<!-- end of parameters -->", "", text, flags=re.S)
    long = [line for _, line in prose(text) if len(line) > 100 and can_be_broken(line)]
    assert not long


def test_nobody_is_told_to_install_it_from_an_index() -> None:
    """The project is installed from a checkout; no package index has it."""
    named = re.compile(r"pip install [^\n]*gemma4[-]triton")
    assert not [path for path in [*PAGES, *SOURCES] if named.search(path.read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_has_no_private_words(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))
    assert not PRIVATE.findall(PUBLIC.sub("", text))


def test_comments_and_docstrings_have_no_private_words() -> None:
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if not PRIVATE.search(text):  # spares most files the slow tokenizer
            continue
        for number, words in words_of(text):
            left = PUBLIC.sub("", words)
            found += [f"{name_of(path)}:{number}: {word}" for word in PRIVATE.findall(left)]
    assert len(SOURCES) > 400
    assert not found
