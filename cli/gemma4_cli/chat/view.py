"""An answer on the terminal as it comes: dimmed thoughts, then Markdown."""

from __future__ import annotations

import json
from time import monotonic
from typing import Any

from gemma4_client import Answer, Delta
from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown

from gemma4_cli.chat.blocks import Piece, Splitter
from gemma4_cli.chat.code import CodeBlock
from gemma4_cli.chat.visible import visible

__all__ = ["AnswerView", "stats_line"]

_REDRAW_S = 0.06
"""Markdown is parsed anew for each drawing; a 26B model gives a token each 10 to 30 ms."""


class AnswerView:
    """Use as a context manager; whole blocks of Markdown scroll away for good, code line by line,
    and only the last block of prose is drawn again and again."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thinking = False
        self._splitter = Splitter()
        self._code: CodeBlock | None = None
        self._live: Live | None = None
        self._drawn = 0.0

    def __enter__(self) -> AnswerView:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_thoughts()
        self._erase()
        for piece in self._splitter.end():
            self._print(piece)

    def show(self, delta: Delta) -> None:
        """Show the next chunk."""
        if delta.reasoning:
            self._thinking = True
            self._console.print(
                visible(delta.reasoning), end="", style="dim italic", markup=False, soft_wrap=True
            )
        if delta.text:
            self._end_thoughts()
            self._add(visible(delta.text))
        for call in delta.tool_calls:
            self._end_thoughts()
            self._call(call)

    def _end_thoughts(self) -> None:
        if self._thinking:
            self._thinking = False
            self._console.print("\n")

    def _add(self, text: str) -> None:
        pieces = self._splitter.feed(text)
        if pieces:
            self._erase()
        for piece in pieces:
            self._print(piece)
        if self._splitter.rest.strip() and (pieces or monotonic() - self._drawn > _REDRAW_S):
            self._draw(self._splitter.rest)

    def _print(self, piece: Piece) -> None:
        """Show for good what is whole."""
        if piece.kind == "open":
            self._code = CodeBlock(self._console, piece.text)
        elif piece.kind == "code" and self._code is not None:
            self._code.line(piece.text)
        elif piece.kind == "close" and self._code is not None:
            self._code.close(piece.text)
            self._code = None
            self._console.print()
        else:
            self._console.print(Markdown(piece.text), "")

    def _draw(self, prose: str) -> None:
        if self._live is None:
            # No refresh thread: it could draw between the two steps of a cut, a block short.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(Markdown(prose), refresh=True)
        self._drawn = monotonic()

    def _erase(self) -> None:
        """Take away what was drawn of a block that was not whole."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _call(self, call: dict[str, Any]) -> None:
        function = call["function"]
        try:
            arguments = json.dumps(json.loads(function["arguments"]), ensure_ascii=False)
        except ValueError:
            arguments = function["arguments"]
        self._erase()
        shown = visible(f"{function['name']}({arguments})")
        self._console.print(shown, style="cyan", markup=False, soft_wrap=True)


def stats_line(answer: Answer) -> str:
    """Return one line: tokens, tokens/s of the decode (the server's clock), time to the first."""
    parts = [f"{answer.completion_tokens} tokens"]
    decode = answer.timings.get("decode", 0.0)
    if decode > 0:
        parts.append(f"{answer.completion_tokens / decode:.0f} tokens/s")
    if "ttft" in answer.timings:
        parts.append(f"first after {answer.timings['ttft'] * 1000:.0f} ms")
    if answer.finish_reason not in ("stop", ""):
        parts.append(f"ended by {answer.finish_reason}")
    return ", ".join(parts)
