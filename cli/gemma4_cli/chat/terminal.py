"""The conversation in a terminal."""

from __future__ import annotations

from typing import Any

from gemma4_client import Client, Gemma4Error
from rich.console import Console

from gemma4_cli.chat.commands import COMMANDS, run_command
from gemma4_cli.chat.errors import explain
from gemma4_cli.chat.lines import Lines, history_path
from gemma4_cli.chat.session import Session
from gemma4_cli.chat.view import AnswerView, stats_line

__all__ = ["Terminal"]


class Terminal:
    """Reads lines, asks, shows."""

    def __init__(self, client: Client, session: Session, options: dict[str, Any]) -> None:
        self._client = client
        self._session = session
        self._options = options
        self._console = Console(highlight=False)

    def loop(self) -> None:
        """Answer until /quit or Ctrl-D."""
        self._note(f"{self._who()} /help lists commands; Ctrl-C stops an answer.")
        with Lines(history_path(), COMMANDS) as lines:
            while True:
                try:
                    if not self._handle(lines.read("> ")):
                        return
                except EOFError:
                    self._console.print()
                    return
                except KeyboardInterrupt:
                    self._console.print()
                    self._note("Ctrl-D or /quit leaves")

    def _handle(self, line: str) -> bool:
        """Carry out a command; return False to leave."""
        if not line.startswith("/"):
            if line:
                self.ask(line)
            return True
        reply = run_command(self._session, line)
        if reply.text:
            self._note(reply.text)
        if reply.stats:
            self._note(self._who())
        if reply.question is not None:
            self._console.print(f"> {reply.question}", markup=False)
            self.ask(reply.question)
        return not reply.leave

    def ask(self, question: str) -> None:
        """Take one turn. Ctrl-C ends the answer, on the server too; what came of it is kept."""
        session = self._session
        try:
            stream = self._client.chat(
                session.messages(question), enable_thinking=session.thinking, **self._options
            )
            stopped = False
            try:
                with stream, AnswerView(self._console) as view:
                    for delta in stream:
                        view.show(delta)
            except KeyboardInterrupt:
                stopped = True
            answer = stream.answer
            if answer.text or answer.tool_calls:
                session.keep(question, answer)
            self._note("(stopped)" if stopped else stats_line(answer))
        except Gemma4Error as error:
            self._console.print(explain(error, self._client.url), style="red", markup=False)

    def _who(self) -> str:
        """Return one line on the server."""
        try:
            info = self._client.server_info(timeout=5)
        except Gemma4Error as error:
            return explain(error, self._client.url)
        return f"{info.model}, {info.runtime} {info.precision}, at {self._client.url}."

    def _note(self, text: str) -> None:
        self._console.print(text, style="dim", markup=False)
