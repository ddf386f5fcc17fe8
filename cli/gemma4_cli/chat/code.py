"""A code block on the terminal, line by line, so that it can be copied: nothing before a line,
nothing behind it, and no break but the terminal's own."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

__all__ = ["CodeBlock"]

_MOST_LINES = 200
"""Lines that are looked at for the colors of the next: each is read again for every line."""


class CodeBlock:
    """``fence``: the line that opens it, such as ```` ```python ````. Colors are the terminal's own
    sixteen, so that they can be read on any background."""

    def __init__(self, console: Console, fence: str) -> None:
        self._console = console
        words = fence.strip("`~ ").split()
        language = words[0].strip("{.}").lower() if words else ""
        self._syntax = Syntax("", language or "text", theme="ansi_dark")
        self._lines: list[str] = []
        self._border(fence)

    def line(self, text: str) -> None:
        """Show the next line."""
        self._lines.append(text)
        colored = self._syntax.highlight("\n".join(self._lines)).split("\n")
        at = len(self._lines) - 1
        shown = colored[at] if at < len(colored) and colored[at].plain == text else Text(text)
        self._console.print(_Raw(shown), soft_wrap=True)
        if len(self._lines) >= _MOST_LINES:
            self._lines.clear()

    def close(self, fence: str) -> None:
        """Show the end."""
        self._border(fence)

    def _border(self, fence: str) -> None:
        self._console.print(Text(fence, style="dim"), soft_wrap=True)


class _Raw:
    """A text of which rich changes nothing: it would make spaces of tabs."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del options
        yield from self._text.render(console)
        yield Segment.line()
