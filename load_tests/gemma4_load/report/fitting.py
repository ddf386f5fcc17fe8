"""Text that fits the width of a terminal, and never breaks inside a word or a figure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

__all__ = ["fitting", "packed"]


def packed(items: Sequence[str], width: int) -> str:
    """Put ``items`` beside each other, two spaces apart, and a new line where one does not fit."""
    lines = [""]
    for item in items:
        beside = f"{lines[-1]}  {item}" if lines[-1] else item
        if len(beside) <= width or not lines[-1]:
            lines[-1] = beside
        else:
            lines.append(item)
    return "\n".join(lines)


def fitting(
    console: Console,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    text: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Table | str:
    """Return a table that fits ``console``. ``text`` names the columns that are aligned left, the
    first is; ``optional`` those that are left out one after another where it is too wide. Where
    even that is too wide, each cell has a line of its own."""
    left_out = 0
    while left_out <= len(optional):
        shown = [at for at, name in enumerate(columns) if name not in optional[:left_out]]
        table = Table(box=None, pad_edge=False)
        for at in shown:
            left = at == 0 or columns[at] in text
            table.add_column(columns[at], justify="left" if left else "right", no_wrap=True)
        for row in rows:
            table.add_row(*(row[at] for at in shown))
        if console.measure(table, options=console.options.update(width=1000)).maximum <= (
            console.width
        ):
            return table
        left_out += 1
    lines = []
    for row in rows:
        lines.append(row[0])
        lines += [
            f"  {name} {cell}".rstrip() for name, cell in zip(columns[1:], row[1:], strict=True)
        ]
    return "\n".join(lines)
