"""A named number says what it counts: a docstring below it, or a comment beside or above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import dropwhile, takewhile
from pathlib import Path

import pytest
from gemma4_testing.repository import ROOT, name_of

FOLDERS = ("runtime", "build", "clients", "load_tests", "serve", "cli")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

PLAIN = {"_KIB", "_MIB"}
"""Names that say it all."""


def is_number(value: ast.expr | None) -> bool:
    """Return whether an expression is made of numbers alone."""
    if isinstance(value, ast.BinOp):
        return is_number(value.left) and is_number(value.right)
    if isinstance(value, ast.UnaryOp):
        return is_number(value.operand)
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def named_numbers(body: list[ast.stmt]) -> Iterator[tuple[int, str, list[ast.stmt]]]:
    """Give place, name and following statements of each constant that is a number."""
    for place, node in enumerate(body):
        target = None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        number = is_number(getattr(node, "value", None))
        if number and isinstance(target, ast.Name) and target.id.isupper():
            yield node.lineno, target.id, body[place + 1 :]


def unexplained(source: str) -> list[str]:
    """Return the constants without words. One docstring may explain those right above it."""
    lines, body = source.splitlines(), ast.parse(source).body
    found = []
    for line, name, after in named_numbers(body):
        above = takewhile(str.strip, reversed(lines[: line - 1]))
        comment = "#" in lines[line - 1] or any(text.startswith("#") for text in above)
        rest = dropwhile(lambda node: isinstance(node, ast.Assign | ast.AnnAssign), after)
        text = next(rest, None)
        if not comment and name not in PLAIN and (text is None or not is_text(text)):
            found.append(f"{line}: {name}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_named_number_is_explained(path: Path) -> None:
    assert not unexplained(path.read_text(encoding="utf-8"))


def test_a_bare_number_is_found() -> None:
    assert unexplained("_LONGEST_S = 3.0\n\n\ndef f(): ...\n") == ["1: _LONGEST_S"]
    assert not unexplained('_LONGEST_S = 3.0\n"""Seconds to wait."""\n')
    assert not unexplained("_LONGEST_S = 3.0  # seconds\n")
