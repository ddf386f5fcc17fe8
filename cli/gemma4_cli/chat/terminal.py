"""The conversation in a terminal."""

from __future__ import annotations

from typing import Any

import typer
from gemma4_client import Client, Gemma4Error
from rich.console import Console

from gemma4_cli.chat.commands import COMMANDS, is_command, run_command
from gemma4_cli.chat.errors import explain
from gemma4_cli.chat.lines import Lines, history_path
from gemma4_cli.chat.session import Session
from gemma4_cli.chat.view import AnswerView, stats_line
from gemma4_cli.chat.visible import visible

__all__ = ["Terminal"]


class Terminal:
    """Reads lines, asks, shows."""

    def __init__(self, client: Client, session: Session, options: dict[str, Any]) -> None:
        self._client = client
        self._session = session
        self._options = options
        self._console = Console(highlight=False)
        self._stopped = False  # by Ctrl-C, and nothing was asked since

    def loop(self) -> None:
        """Answer until /quit, Ctrl-D, or Ctrl-C twice, which ends the command with 130."""
        with Lines(history_path(), COMMANDS) as lines:
            self._note(f"{self._who()} /help lists commands; Ctrl-C stops an answer.")
            while True:
                try:
                    question = lines.read("> ")
                    self._stopped = False
                    if not self._handle(question):
                        return
                except EOFError:
                    return
                except KeyboardInterrupt:
                    if self._stopped and not lines.abandoned:
                        raise typer.Exit(130) from None
                    self._stopped = not lines.abandoned
                    self._note("Ctrl-C again, Ctrl-D or /quit leaves")

    def _handle(self, line: str) -> bool:
        """Carry out a command; return False to leave."""
        if not is_command(line):
            if line.strip():
                self.ask(line)
            return True
        reply = run_command(self._session, line)
        if reply.text:
            self._note(reply.text)
        if reply.stats:
            self._note(self._who())
        if reply.question is not None:
            self._console.print(f"> {visible(reply.question)}", markup=False)
            self.ask(reply.question)
        return not reply.leave

    def ask(self, question: str) -> None:
        """Take one turn. Ctrl-C ends the answer, on the server too; what came of it is kept. A
        second one, before the server has heard of the first, is raised."""
        session = self._session
        try:
            stream = self._client.chat(
                session.messages(question), enable_thinking=session.thinking, **self._options
            )
            try:
                with stream, AnswerView(self._console) as view:
                    for delta in stream:
                        view.show(delta)
            except KeyboardInterrupt:
                self._stopped = True
            answer = stream.answer
            if answer.text or answer.tool_calls:
                session.keep(question, answer)
            self._note("(stopped; Ctrl-C again leaves)" if self._stopped else stats_line(answer))
        except Gemma4Error as error:
            message = visible(explain(error, self._client.url))
            self._console.print(message, style="red", markup=False, soft_wrap=True)

    def _who(self) -> str:
        """Return one line on the server."""
        try:
            info = self._client.server_info(timeout=5)
        except Gemma4Error as error:
            return explain(error, self._client.url)
        return f"{info.model}, {info.runtime} {info.precision}, at {self._client.url}."

    def _note(self, text: str) -> None:
        self._console.print(visible(text), style="dim", markup=False)
