"""What is typed or pasted into ``gemma4 chat`` in a real terminal reaches the server as one
question, byte for byte, in any encoding; and Ctrl-C and Ctrl-D do what they say."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of, whole
from gemma4_testing.terminal import Terminal

GEMMA4 = str(Path(sys.executable).with_name("gemma4"))
PROMPT = re.escape(b"\x1b[?7h\x1b[0m\x1b[?12l\x1b[?25h")  # what ends the drawing of a prompt
Start = Callable[..., Any]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Start]:
    """Starts the command in a terminal of 60 columns, speaking ``encoding``."""
    children = []

    def start(url: str, encoding: str = "utf-8", **env: str) -> Any:
        child = Terminal(
            GEMMA4, ["chat", "--url", url], timeout=60, dimensions=(24, 60),
            env=os.environ | {"XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "NO_COLOR": "1",
                              "PYTHONIOENCODING": encoding} | env,
        )  # fmt: skip
        child.delaybeforesend = 0.2
        children.append(child)
        child.expect(PROMPT)
        return child

    yield start
    for child in children:
        child.close(force=True)


def question(body: Any) -> str:
    """The text of the last message of a request."""
    raw = dict(zip((t.name for t in body.inputs), body.raw_input_contents, strict=True))
    content = json.loads(raw["messages"][4:])[-1]["content"]
    assert isinstance(content, str)
    return content


def pasted(text: str, encoding: str = "utf-8") -> bytes:
    """What a terminal sends for a paste that it tells (bracketed paste)."""
    return b"\x1b[200~" + text.encode(encoding) + b"\x1b[201~"


PASTES = {
    "lines": ("def f(x):\n    return x\n\nprint(f(1))", None),
    "crlf": ("one\r\ntwo\r\nthree", "one\ntwo\nthree"),
    "cr": ("one\rtwo", "one\ntwo"),
    "tabs": ("all:\n\tmake\tit", None),
    "indented": ("    first\n  second", None),
    "wide": ("日本語のテキスト👩‍👩‍👧\nもう一行 é", None),
    "long": ("word " * 800 + "\nend", None),
    "end": ("text\n\n", "text"),
    "quotes": ('"""Doc."""\nx = 1', None),
    "path": ("/etc/hosts\n/etc/passwd", None),
    "backslash": ("curl \\\n  -s x", None),
}


def test_a_paste_is_one_question(terminal: Start) -> None:
    scripts = [Script(whole()) for _ in PASTES]
    with server_of("grpc", *scripts) as (url, seen):
        child = terminal(url)
        for count, (text, expected) in enumerate(PASTES.values(), start=1):
            child.send(pasted(text))
            if count % 3 == 0:  # a terminal may change its size at any time
                child.setwinsize(20 + count, 30 + 5 * count)
            child.send(b"\r")
            child.expect(b"first after")
            child.expect(PROMPT)
            assert seen.count == count
            assert question(seen.bodies[-1]) == (text if expected is None else expected)


def test_typed_lines(terminal: Start, tmp_path: Path) -> None:
    typed = [
        (b'"""\ra\r\r b\r"""\r', "a\n\n b"),
        (b"one\\\rtwo\r", "one\ntwo"),
        (b"three\x1b\rfour\r", "three\nfour"),
        (b"plain\r", "plain"),
        (b"\x1b[A\r", "plain"),  # the last one again
    ]
    with server_of("grpc", *[Script(whole()) for _ in typed]) as (url, seen):
        child = terminal(url)
        for keys, expected in typed:
            child.send(keys)
            child.expect(b"first after")
            child.expect(PROMPT)
            assert question(seen.bodies[-1]) == expected
        child.sendeof()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
    history = tmp_path / "gemma4" / "chat_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600 and "+plain" in history.read_text()


@pytest.mark.parametrize(
    ("encoding", "env", "keys", "expected", "shown"),
    [
        ("iso-8859-1", {"LC_ALL": "C"}, "café".encode("latin-1"), "café", "é → ".encode("latin-1", "backslashreplace")),
        ("ascii", {"LC_ALL": "C"}, b"cafe", "cafe", b"\\xe9 \\u2192 "),
        ("utf-8", {"LC_ALL": "C"}, "café".encode(), "café", "é → ".encode()),
        ("utf-8", {}, "café".encode("latin-1") + b"!", "caf\ufffd!", "é → ".encode()),
    ],
)  # fmt: skip
def test_encodings(
    terminal: Start, encoding: str, env: dict[str, str], keys: bytes, expected: str, shown: bytes
) -> None:
    answer = [chunk(0, text="é → \x1b]0;title\x07"), chunk(1, "stop", text="!")]
    with server_of("grpc", Script(answer)) as (url, seen):
        child = terminal(url, encoding, **env)
        child.send(keys + b"\r")
        child.expect(b"first after")
        assert shown in child.before and b"\x1b]0;title" not in child.before
        assert question(seen.bodies[-1]) == expected


def test_ctrl_c_twice_leaves(terminal: Start) -> None:
    with server_of("grpc", Script([chunk(0, text="partial")], hang=True), Script(whole())) as (
        url,
        seen,
    ):
        child = terminal(url)
        child.send(b"go on\r")
        child.expect(b"partial")
        child.sendintr()
        child.expect(b"stopped; Ctrl-C again leaves")
        assert seen.gone.wait(5)
        child.expect(PROMPT)
        child.send(b"some text")
        child.sendintr()  # takes the text away, and does not leave
        child.expect(b"Ctrl-C again, Ctrl-D or /quit leaves")
        child.send(b"more\r")
        child.expect(b"hello!")
        child.expect(b"first after")
        child.expect(PROMPT)
        child.sendintr()
        child.expect(b"Ctrl-C again")
        child.expect(PROMPT)
        child.sendintr()
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 130
        assert question(seen.bodies[-1]) == "more"


def test_without_a_place_for_history(terminal: Start) -> None:
    with server_of("grpc", Script(whole())) as (url, _):
        child = terminal(url, XDG_STATE_HOME="/dev/null")
        child.send(b"hello\r")
        child.expect(b"first after")
