"""One question, its answer as plain text: for pipes and ``--once``."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from gemma4_client import Client, Gemma4Error

from gemma4_cli.chat.errors import exit_code, explain
from gemma4_cli.chat.session import Session
from gemma4_cli.fail import fail

__all__ = ["ask_plainly"]


def ask_plainly(client: Client, session: Session, options: dict[str, Any], question: str) -> None:
    """Print the answer's text as it comes, and a newline; thoughts are left out. Tool calls cannot
    happen: no tools are offered. Ends the command with 1, 2 or 130 when there is no answer."""
    if not question.strip():
        fail("the question is empty; give it with --once or on stdin", code=2)
    try:
        with client.chat(
            session.messages(question), enable_thinking=session.thinking, **options
        ) as stream:
            last = ""
            for delta in stream:
                sys.stdout.write(delta.text)
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
