"""``gemma4 chat`` in a terminal and in pipes, against servers that say what a test wants."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of, whole
from gemma4_testing.terminal import Terminal

GEMMA4 = str(Path(sys.executable).with_name("gemma4"))
PROMPT = re.escape("\x1b[?7h\x1b[0m\x1b[?12l\x1b[?25h")  # what ends the drawing of a prompt
THOUGHTS = chunk(0, text="") | {"reasoning_output": "Let me think."}
CALL = (
    '[{"id": "1", "type": "function",'
    ' "function": {"name": "f", "arguments": "{\\"a\\": \\"\u00e9\\"}"}}]'
)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., pexpect.spawn[str]]]:
    """Starts the command in a terminal of 80 columns, without colours."""
    children = []

    def start(url: str, *args: Any) -> Any:
        child = Terminal(
            GEMMA4, ["chat", "--url", url, *args], encoding="utf-8", timeout=60,
            dimensions=(40, 80),
            env=os.environ | {"XDG_STATE_HOME": str(tmp_path), "TERM": "xterm", "NO_COLOR": "1"},
        )  # fmt: skip
        children.append(child)
        return child

    yield start
    for child in children:
        child.close(force=True)


def test_a_conversation(terminal: Callable[..., pexpect.spawn[str]], tmp_path: Path) -> None:
    answer = Script([THOUGHTS, chunk(1, text="**Yes**, "), chunk(2, "stop", text="it is.")])
    with server_of("grpc", answer) as (url, seen):
        child = terminal(url)
        child.expect("fake, script none, at")
        child.expect(PROMPT)
        child.sendline("/system be brief")
        child.expect("system message set")
        child.sendline("/thinking on")
        child.expect("thinking is on")
        child.sendline("is it?")
        child.expect("Let me think")
        child.expect("Yes.*, it is")
        child.expect("3 tokens.*first after")
        child.sendline(f"/save {tmp_path / 'chat.json'}")
        child.expect("saved 2 messages")
        child.sendline("/retry")
        child.expect("> is it")
        child.expect("3 tokens")
        child.sendline("/stats")
        child.expect("2 answers, 6 prompt tokens, 6 answered")
        child.sendcontrol("c")
        child.expect("Ctrl-D or /quit leaves")
        child.sendline("/quit")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    names = {t.name for t in seen.bodies[0].inputs}
    assert names == {"messages", "enable_thinking", "stream"}
    assert b"be brief" in seen.bodies[0].raw_input_contents[1]
    assert seen.count == 2
    assert "is it?" in (tmp_path / "gemma4" / "chat_history").read_text()


def test_ctrl_c_stops_the_answer_and_not_the_program(
    terminal: Callable[..., pexpect.spawn[str]],
) -> None:
    hang = Script([chunk(0, text="partial")], hang=True)
    with server_of("grpc", hang, Script(whole())) as (url, seen):
        child = terminal(url)
        child.expect(PROMPT)
        child.sendline("go on for ever")
        child.expect("partial")
        child.sendcontrol("c")
        child.expect(r"\(stopped; Ctrl-C again leaves\)")
        assert seen.gone.wait(2)
        child.sendline("again")
        child.expect("hello!")
        child.expect("first after")
        child.expect(PROMPT)  # before the prompt, nothing reads a Ctrl-D
        child.sendeof()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    assert b"partial" in b"".join(seen.bodies[1].raw_input_contents)  # what came is kept


def test_history_errors_and_tool_calls(terminal: Callable[..., pexpect.spawn[str]]) -> None:
    refused = Script(error="INVALID_ARGUMENT: messages[0].content: [bold] is wrong")
    with server_of("grpc", refused, Script([chunk(0, "tool_calls") | {"tool_calls": CALL}])) as (
        url,
        _,
    ):
        child = terminal(url)
        child.expect(PROMPT)
        child.sendline("first")
        child.expect(re.escape("messages[0].content: [bold] is wrong"))
        child.expect(PROMPT)
        child.send("\x1b[A")  # arrow up
        child.sendline()
        child.expect("first")
        child.expect('f\\({"a": "é"}\\)')
        child.expect("ended by tool_calls")
        child.send("/th\t")
        child.sendline("on")
        child.expect("thinking is on")


def pipe(*args: Any, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GEMMA4, "chat", *args], input=stdin, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_pipe_gives_plain_text(protocol: str) -> None:
    script = Script([THOUGHTS, chunk(1, text="**Yes**\n"), chunk(2, "stop", text="it is")])
    with server_of(protocol, script) as (url, seen):
        ran = pipe("--url", url, "--think", stdin="is it?\nreally?")
        once = pipe("--url", url, "--once", "is it?")
        dash = pipe("--url", url, "--once", "-", stdin="from stdin")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "**Yes**\nit is\n", "")
    assert once.stdout == dash.stdout == ran.stdout
    asked = str(seen.bodies[0])
    assert "is it?" in asked and "really?" in asked and "from stdin" in str(seen.bodies[2])


def test_exit_codes() -> None:
    with server_of("grpc", Script(error="INVALID_ARGUMENT: x: bad")) as (url, _):
        refused = pipe("--url", url, "--once", "x")
        empty = pipe("--url", url, stdin="")
    assert (refused.returncode, refused.stderr) == (2, "gemma4: x: bad\n")
    assert empty.returncode == 2 and "question is empty" in empty.stderr
    nobody = pipe("--url", "127.0.0.1:1", "--once", "x")
    assert nobody.returncode == 1 and "no server at 127.0.0.1:1; start one" in nobody.stderr
    wrong = pipe("--url", "ftp://x", "--once", "x")
    assert wrong.returncode == 2 and "--url" in wrong.stderr
    for ran in (refused, empty, nobody, wrong):
        assert "Traceback" not in ran.stderr and not ran.stdout


def test_a_reader_that_leaves_is_no_error() -> None:
    script = Script([chunk(i, text="x" * 60_000) for i in range(30)] + [chunk(30, "stop")])
    with server_of("grpc", script) as (url, _):
        child = subprocess.Popen(
            [GEMMA4, "chat", "--url", url, "--once", "x"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.read(5)
        child.stdout.close()
        assert child.wait(20) == 141
        assert child.stderr is not None
        assert child.stderr.read() == b""
