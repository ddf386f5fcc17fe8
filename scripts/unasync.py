"""Makes the blocking half of the Python SDK from its asyncio half.

    python scripts/unasync.py            # writes clients/gemma4_client/_sync
    python scripts/unasync.py --check    # fails when a file there is not what would be written

People edit ``clients/gemma4_client/_async``. The rules below turn its words into those of blocking
code. What differs for real (tasks and threads) is in small modules that offer the same names to
both: ``concurrency/tasks.py`` and ``threads.py``, ``transport/grpc_tasks.py`` and
``grpc_threads.py``.

Where a docstring differs, the lines ``# sync: ...`` under it are the blocking one: they replace the
statement above them.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "clients" / "gemma4_client" / "_async"
MADE = SOURCE.with_name("_sync")

HEAD = "# Made by scripts/unasync.py from _async/{name}: edit that file instead.\n"
WIDTH = 100

RULES = (
    (r"\bgemma4_client\._async\b", "gemma4_client._sync"),
    (r"\bconcurrency\.tasks\b", "concurrency.threads"),
    (r"\bgrpc_tasks\b", "grpc_threads"),
    (r"\bgrpc\.aio\b", "grpc"),
    (r"\basync (?=def |for |with )", ""),
    (r"\bawait ", ""),
    (r"\bAwaitable\[((?:[^][]|\[(?:[^][]|\[[^][]*\])*\])*)\]", r"\1"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b(\w+\[\w+\]) \| \1", r"\1"),
    (r"(?<=\w)_async\b", ""),
    (r"\b__a(iter|next|enter|exit)__", r"__\1__"),
    (r"\ba(iter|next)\(", r"\1("),
    (r"\baclose\b", "close"),
)
"""(Pattern, replacement), applied in this order to the whole text."""

_DIRECTIVE = re.compile(r"(\s*)# sync: ?(.*)")


def sync_of(text: str) -> str:
    """Return the blocking form of a module. Raises :class:`ValueError` for a ``# sync:`` line that
    has no statement above it."""
    text = _directives(text)
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return _tidy_imports(text)


def _directives(text: str) -> str:
    """``text`` with the statements above ``# sync:`` lines replaced by those lines."""
    spans = {
        node.end_lineno: node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.stmt)
    }
    kept: list[tuple[int, str]] = []
    within = False
    for number, line in enumerate(text.splitlines(), 1):
        found = _DIRECTIVE.fullmatch(line)
        if found and not within:
            while kept and not kept[-1][1]:
                kept.pop()
            first = spans.get(kept[-1][0]) if kept else None
            if first is None:
                raise ValueError(f"line {number}: no statement ends above {line.strip()!r}")
            while kept and kept[-1][0] >= first:
                kept.pop()
        within = bool(found)
        kept.append((number, (found[1] + found[2]).rstrip() if found else line))
    return "".join(f"{line}\n" for _, line in kept)


def _tidy_imports(text: str) -> str:
    """Remove the imports that the rules made double or left unused; sort the rest as ruff does."""
    tree = ast.parse(text)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    lines = text.splitlines()
    for node in reversed(tree.body):
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom) and node.module != "__future__"
        ):
            lines[node.lineno - 1 : node.end_lineno] = _import(node, used)
    return "\n".join(lines) + "\n"


def _import(node: ast.Import | ast.ImportFrom, used: set[str]) -> Iterator[str]:
    """Give the lines of the import, with the names of ``used`` only."""
    names = {a.name for a in node.names if (a.asname or a.name.partition(".")[0]) in used}
    if not names:
        return
    if isinstance(node, ast.Import):
        yield from (f"import {name}" for name in sorted(names))
        return
    ordered = sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    line = f"from {node.module} import {', '.join(ordered)}"
    if len(line) <= WIDTH:
        yield line
    else:
        yield f"from {node.module} import ("
        yield from (f"    {name}," for name in ordered)
        yield ")"


def made_files() -> dict[Path, str]:
    """Return what each file of the blocking half has to hold."""
    return {
        MADE / path.name: HEAD.format(name=path.name) + sync_of(path.read_text("utf-8"))
        for path in sorted(SOURCE.glob("*.py"))
    }


def differences() -> list[str]:
    """Return a line for each file that differs, is missing, or has no source any more."""
    made = made_files()
    found = [
        f"{path.relative_to(ROOT)}: not what scripts/unasync.py makes; run it"
        for path, text in made.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    extra = sorted(set(MADE.glob("*.py")) - set(made))
    return found + [
        f"{path.relative_to(ROOT)}: has no source in _async; remove it" for path in extra
    ]


def write() -> None:
    """Make the folder anew."""
    MADE.mkdir(exist_ok=True)
    made = made_files()
    for path in set(MADE.glob("*.py")) - set(made):
        path.unlink()
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the blocking SDK from the asyncio SDK.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    if not parser.parse_args().check:
        write()
        return 0
    found = differences()
    print("\n".join(found), end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
