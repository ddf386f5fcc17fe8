"""The part of a file that is made: all between two comments, the first of which says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Region", "mark"]

_HOW = "made of gemma4_runtime/contract by `make generate`; do not edit"


def mark(title: str) -> tuple[str, str]:
    """Return the texts of the two comments around a region."""
    return f"{title}: {_HOW}", f"end of {title}"


@dataclass(frozen=True, slots=True)
class Region:
    """``lines`` of the file ``path`` (from the root of the checkout), without their indentation,
    which is that of the first comment."""

    path: str
    title: str
    lines: tuple[str, ...]

    def put(self, text: str) -> str:
        """``text`` of the file with the region made anew. Raises :class:`ValueError` when it does
        not have both comments once, in this order."""
        begin, end = (f"# {words}\n" for words in mark(self.title))
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        if (text.count(begin), text.count(end), rest.count(end)) != (1, 1, 1):
            raise ValueError(f"{self.path}: needs the lines {begin!r} and {end!r} once, in order")
        indent = before[before.rfind("\n") + 1 :]
        made = "".join(f"{indent}{line}".rstrip() + "\n" for line in self.lines)
        return f"{before}{begin}{made}{indent}{end}{after}"

    def apply(self, root: Path, texts: dict[Path, str]) -> None:
        """Into ``texts`` by path, where the file's text is or is put."""
        path = root / self.path
        texts[path] = self.put(texts.get(path) or path.read_text(encoding="utf-8"))
