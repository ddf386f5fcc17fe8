"""Session, commands, and where Markdown can be cut."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gemma4_cli.chat.blocks import cut
from gemma4_cli.chat.commands import COMMANDS, run_command
from gemma4_cli.chat.session import Session
from gemma4_cli.chat.view import stats_line
from gemma4_client import Answer
from hypothesis import given
from hypothesis import strategies as st

DONE = Answer(
    text="yes", finish_reason="stop", prompt_tokens=5, completion_tokens=10,
    timings={"ttft": 0.2, "decode": 0.5, "total": 0.8},
)  # fmt: skip


@pytest.fixture
def session() -> Session:
    made = Session(system="be brief")
    made.keep("q1", DONE)
    return made


def test_messages_and_take_back(session: Session) -> None:
    assert [m["role"] for m in session.messages("q2")] == ["system", "user", "assistant", "user"]
    assert session.take_back() == "q1"
    assert session.turns == []
    assert session.take_back() is None


def test_a_stopped_answer_is_kept_but_not_counted(session: Session) -> None:
    session.keep("q2", Answer(text="par"))
    assert session.turns[-1] == {"role": "assistant", "content": "par"}
    assert session.totals.answers == 1


def test_system_and_thinking(session: Session) -> None:
    assert "be brief" in run_command(session, "/system").text
    run_command(session, "/system You are a cat.")
    assert session.system == "You are a cat."
    run_command(session, "/system none")
    assert session.system == ""
    for line, state in (("on", True), ("off", False), ("", True), ("", False)):
        assert run_command(session, f"/thinking {line}").text.endswith("on" if state else "off")
        assert session.thinking is state
    assert "use on or off" in run_command(session, "/thinking maybe").text


def test_save_load_reset(session: Session, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    assert run_command(session, f"/save {file}").text == f"saved 2 messages to {file}"
    other = Session()
    assert run_command(other, f"/load {file}").text == f"loaded 2 messages from {file}"
    assert (other.system, other.turns) == (session.system, session.turns)
    run_command(other, "/reset")
    assert other.turns == [] and other.system == "be brief"


@pytest.mark.parametrize(
    "content",
    ["no json", "[]", "{}", '{"system": 1, "thinking": true, "messages": []}',
     '{"system": "", "thinking": true, "messages": [1]}',
     '{"system": "", "thinking": true, "messages": [{"role": "user"}]}'],
)  # fmt: skip
def test_what_is_no_chat_changes_nothing(session: Session, tmp_path: Path, content: str) -> None:
    (tmp_path / "x").write_text(content)
    assert "is no chat" in run_command(session, f"/load {tmp_path / 'x'}").text
    assert len(session.turns) == 2 and session.system == "be brief"


def test_files_that_cannot_be(session: Session, tmp_path: Path) -> None:
    assert "No such file" in run_command(session, f"/load {tmp_path / 'none'}").text
    assert "cannot write" in run_command(session, f"/save {tmp_path / 'no' / 'file'}").text
    for verb in ("/save", "/load"):
        assert "needs a file name" in run_command(session, verb).text


def test_retry_stats_help_quit_and_typos(session: Session) -> None:
    stats = run_command(session, "/stats")
    assert stats.stats and "1 answers, 5 prompt tokens, 10 answered" in stats.text
    assert "200 ms" in stats.text and "20 tokens/s" in stats.text
    assert run_command(Session(), "/stats").text == "no answers yet"
    assert run_command(session, "/retry").question == "q1"
    assert run_command(session, "/retry").text == "nothing to ask again"
    help_text = run_command(session, "/help").text
    assert all(name in help_text for name in COMMANDS)
    assert run_command(session, "/quit").leave and run_command(session, "/exit").leave
    assert run_command(session, "/sytem x").text == "/sytem: no such command; /system?"
    assert "/help lists them" in run_command(session, "/zzzzz").text


def test_stats_line() -> None:
    assert stats_line(DONE) == "10 tokens, 20 tokens/s, first after 200 ms"
    cut_off = Answer(completion_tokens=1, finish_reason="length")
    assert stats_line(cut_off) == "1 tokens, ended by length"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("one", ""),
        ("one\n\n", ""),
        ("one\n\ntwo", "one\n\n"),
        ("one\n\ntwo\n\nthree", "one\n\ntwo\n\n"),
        ("```\na\n\nb", ""),
        ("```\na\n\nb\n```\n\nend", "```\na\n\nb\n```\n\n"),
        ("~~~\n```\n\nb", ""),
        ("* item\n\n  more of it\n\n* next", "* item\n\n  more of it\n\n"),
        ("x\n\n```\ny\n\nz", "x\n\n"),
    ],
)
def test_cuts(text: str, whole: str) -> None:
    assert text[: cut(text)] == whole


@given(st.text(alphabet="ab \n`*", max_size=80), st.integers(1, 7))
def test_a_cut_stays_whatever_follows(text: str, step: int) -> None:
    """Cutting as it comes gives the same text, and never inside an open fence."""
    done = rest = ""
    for at in range(0, len(text), step):
        rest += text[at : at + step]
        whole = cut(rest)
        done, rest = done + rest[:whole], rest[whole:]
    assert done + rest == text
    assert cut(text) >= len(done) or cut(rest) == 0


def test_saved_chats_are_plain_json(session: Session, tmp_path: Path) -> None:
    session.save(tmp_path / "c")
    assert json.loads((tmp_path / "c").read_text())["messages"][0]["content"] == "q1"
