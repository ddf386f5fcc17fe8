"""What is typed becomes a question, and what is answered becomes lines. No terminal."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_cli.chat.blocks import Piece, Splitter
from gemma4_cli.chat.commands import is_command
from gemma4_cli.chat.question import block_is_open, question_of, whole_text
from gemma4_cli.chat.view import AnswerView
from gemma4_cli.chat.visible import visible
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

ANY = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60)


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("hello  ", "hello"),
        ("\n\n    def f():\n\treturn 1\n\n", "    def f():\n\treturn 1"),
        ('"""\na\n\n b\n"""', "a\n\n b"),
        ('"""one line"""', "one line"),
        ('"""\nx = """y"""\n"""', 'x = """y"""'),
        ('"""Doc."""\nx = 1', '"""Doc."""\nx = 1'),
        ('"""Doc."""\nx = """y"""', '"""Doc."""\nx = """y"""'),
        ('"""never closed', '"""never closed'),
        ("a\r\nb\rc", "a\nb\nc"),
        ("caf\udce9", "caf\ufffd"),
        ("\ud800", "?"),
        ('"""', '"""'),
        ('""""""', ""),
    ],
)
def test_questions(typed: str, question: str) -> None:
    assert question_of(typed) == question


@given(ANY)
def test_any_text_can_be_sent(text: str) -> None:
    question_of(text).encode("utf-8")
    assert whole_text(whole_text(text)) == whole_text(text)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [('"""', True), ('"""a', True), ('"""a"""', False), (' """\na\n', True), ('a """', False), ("", False)],
)  # fmt: skip
def test_open_blocks(text: str, is_open: bool) -> None:
    assert block_is_open(text) is is_open


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", True), ("/system a\nb", True), ("/sytem x", True), ("/exit", True),
        ("/etc/passwd: what is it?", False), ("/* a comment\n */", False), ("/usr", True),
        ("/usr\n/bin", False), ("// comment", False), ("a /help", False),
    ],
)  # fmt: skip
def test_commands(text: str, command: bool) -> None:
    assert is_command(text) is command


def pieces(text: str, *cuts: int) -> list[Piece]:
    splitter, found, before = Splitter(), [], 0
    for at in [*sorted(min(at, len(text)) for at in cuts), len(text)]:
        found += splitter.feed(text[before:at])
        before = at
    joined: list[Piece] = []
    for piece in [*found, *splitter.end()]:
        if joined and piece.kind == joined[-1].kind == "prose":
            joined[-1] = Piece("prose", joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n```py\nx\n\n  y\n```\nb", [("prose", "a\n"), ("open", "```py"), ("code", "x"), ("code", ""), ("code", "  y"), ("close", "```"), ("prose", "b")]),
        ("1. a\n   ```sh\n   x\n     y\n   ```\n   b\n2. c", [("prose", "1. a\n"), ("open", "```sh"), ("code", "x"), ("code", "  y"), ("close", "```"), ("prose", "b\n2. c")]),
        ("````\n```\n````", [("open", "````"), ("code", "```"), ("close", "````")]),
        ("~~~\n```\n~~~ \n", [("open", "~~~"), ("code", "```"), ("close", "~~~")]),
        ("```\nnever closed", [("open", "```"), ("code", "never closed")]),
        ("``` no `fence`\na", [("prose", "``` no `fence`\na")]),
        ("`x` is code", [("prose", "`x` is code")]),
        ("```\n\tx\n```", [("open", "```"), ("code", "\tx"), ("close", "```")]),
    ],
)  # fmt: skip
def test_pieces(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(piece.kind, piece.text) for piece in pieces(text)] == expected
    assert pieces(text, *range(len(text))) == pieces(text)  # a character at a time


@given(st.text(alphabet="ab \n`~*1.", max_size=80), st.lists(st.integers(0, 80), max_size=6))
def test_pieces_do_not_depend_on_chunks(text: str, cuts: list[int]) -> None:
    found = pieces(text, *cuts)
    assert found == pieces(text)
    kept = re.sub(r"\s", "", text)
    assert re.sub(r"\s", "", "".join(piece.text for piece in found)) == kept


@given(ANY)
def test_no_answer_is_obeyed(text: str) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", visible(text))


def test_emoji_and_scripts_stay() -> None:
    text = "👩‍👩‍👧 می‌خواهم\tx\n"
    assert visible(text) == text
    assert visible("a\r\n\x1b]0;title\x07\x9b2J") == "a\n\\x1b]0;title\\x07\\x9b2J"


def shown(text: str, *, width: int, terminal: bool, step: int = 3) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=20, force_terminal=terminal, highlight=False,
                      color_system=None, legacy_windows=False)  # fmt: skip
    with AnswerView(console) as view:
        for at in range(0, len(text), step):
            delta: Any = SimpleNamespace(text=text[at : at + step], reasoning="", tool_calls=())
            view.show(delta)
    return out.getvalue()


CODE = "def f():\n\treturn '" + "x" * 150 + "'\n\n    # 日本語\n\x1b[31m"


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [20, 80])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_code_comes_out_as_it_is(width: int, terminal: bool, step: int) -> None:
    text = f"Here:\n\n```python\n{CODE}\n```\n\nDone."
    out = shown(text, width=width, terminal=terminal, step=step)
    assert f"\n```python\n{visible(CODE)}\n```\n" in out
    assert "Done." in out and "\x1b[31m" not in out


def test_a_long_block_keeps_its_lines() -> None:
    code = "\n".join(f"x{i} = {i}" for i in range(450))
    assert f"\n{code}\n" in shown(f"```python\n{code}\n```", width=80, terminal=False, step=999)
