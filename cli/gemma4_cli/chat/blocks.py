"""Where streamed Markdown can be cut: what stands before a cut never changes again. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Piece", "Splitter", "cut"]

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
_OPENS = re.compile(r"( *)(?:(`{3,})([^`]*)|(~{3,})(.*))")
_MAY_OPEN = re.compile(r" *(?:`{1,2}|~{1,2}|`{3}[^`]*|~{3}.*)")
"""The beginning of a line that may yet become a fence."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer that is whole: ``prose`` is Markdown, ``open`` and ``close`` the fences
    of a code block, ``code`` one line of it, without the indentation of the block. None but prose
    has a line break at its end."""

    kind: Literal["prose", "open", "code", "close"]
    text: str


class Splitter:
    """Tells prose and code apart while the text comes."""

    def __init__(self) -> None:
        self._prose = ""
        self._line = ""  # not ended yet
        self._fence = ""  # of the block that is open
        self._indent = 0  # of the open block, or of the list item that it stood in

    @property
    def rest(self) -> str:
        """Prose that is not whole yet, as far as it can be shown."""
        if self._fence or _MAY_OPEN.fullmatch(self._line):
            return self._prose
        return self._prose + self._outdented(self._line)

    def feed(self, text: str) -> list[Piece]:
        """Take more text; return what is whole now."""
        pieces: list[Piece] = []
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            pieces += self._ended(line)
        whole = cut(self.rest)
        if whole and whole <= len(self._prose):
            pieces.append(Piece("prose", self._prose[:whole]))
            self._prose = self._prose[whole:]
        return pieces

    def end(self) -> list[Piece]:
        """Return what is left."""
        line, self._line = self._line, ""
        pieces: list[Piece] = []
        if self._fence and line:
            pieces += self._ended(line)
        elif line:
            self._prose += self._outdented(line)
        return pieces + self._flushed()

    def _ended(self, line: str) -> list[Piece]:
        if self._fence:
            closing = line.strip()
            if closing.startswith(self._fence) and not closing.strip(self._fence[0]):
                self._fence = ""
                return [Piece("close", closing)]
            return [Piece("code", self._outdented(line))]
        found = _OPENS.fullmatch(line)
        if found:
            self._fence, self._indent = found[2] or found[4], len(found[1])
            return [*self._flushed(), Piece("open", line.strip())]
        if line.strip() and not line.startswith(" " * self._indent):
            self._indent = 0
            self._prose += "\n"  # what comes is no part of a paragraph of that item
        self._prose += self._outdented(line) + "\n"
        return []

    def _flushed(self) -> list[Piece]:
        prose, self._prose = self._prose, ""
        return [Piece("prose", prose)] if prose.strip() else []

    def _outdented(self, line: str) -> str:
        """Return a line of the block, or of what follows it in the same list item, from the margin:
        what was before is drawn already."""
        spaces = len(line) - len(line.lstrip(" "))
        return line[min(spaces, self._indent) :]


def cut(text: str) -> int:
    """Return the length of the part of ``text`` that is whole: up to the last blank line outside a
    fenced code block that is followed by text at the margin (an indented line still belongs to the
    list item before it)."""
    at, fence = 0, ""
    for match in re.finditer(r"[^\n]*\n", text):
        line = match.group()
        found = _FENCE.match(line)
        if found and not fence:
            fence = found.group(1)[0]
        elif found and found.group(1)[0] == fence:
            fence = ""
        following = text[match.end() : match.end() + 1]
        if not fence and not line.strip() and following not in ("", " ", "\t", "\n"):
            at = match.end()
    return at
