"""One question, its answer as plain text: for pipes and ``--once``. A pipe gets the very text; a
terminal gets no control characters."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from gemma4_client import Client, Gemma4Error

from gemma4_cli.chat.errors import exit_code, explain
from gemma4_cli.chat.question import whole_text
from gemma4_cli.chat.session import Session
from gemma4_cli.chat.visible import visible
from gemma4_cli.fail import fail

__all__ = ["ask_plainly", "read_stdin"]


def read_stdin() -> str:
    """Return all of stdin, one question. Ends the command with 2 where it is no text in the
    encoding of this terminal."""
    stdin = sys.stdin
    data = stdin.buffer.read()
    try:
        return data.decode(stdin.encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        fail(
            f"stdin: byte {error.start} is {data[error.start]:#04x}, which is not "
            f"{stdin.encoding}; convert it, as `iconv -f latin1 -t {stdin.encoding}` does, or set "
            "LC_ALL",
            code=2,
        )


def ask_plainly(client: Client, session: Session, options: dict[str, Any], question: str) -> None:
    """Print the answer's text as it comes, and a newline; thoughts are left out. Tool calls cannot
    happen: no tools are offered. Ends the command with 1, 2 or 130 when there is no answer."""
    shown = visible if sys.stdout.isatty() else str
    question = whole_text(question)
    if not question.strip():
        fail("the question is empty; give it with --once or on stdin", code=2)
    try:
        with client.chat(
            session.messages(question), enable_thinking=session.thinking, **options
        ) as stream:
            last = ""
            for delta in stream:
                sys.stdout.write(shown(delta.text))
                sys.stdout.flush()
                last = delta.text[-1:] or last
    except BrokenPipeError:
        # The reader has gone, as in `| head`; Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(141) from None
    except Gemma4Error as error:
        fail(explain(error, client.url), code=exit_code(error))
    except KeyboardInterrupt:
        fail("stopped", code=130)
    if last != "\n":
        print()
