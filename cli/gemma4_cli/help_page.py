"""The help of every command: options below each other, at any width, with no name cut off.

Typer's own page is a table of six columns. In 80 of them it cuts names such as
``--quality-gate-interval``, and leaves 19 characters to the help.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from gemma4_cli.explained import check_finite
from gemma4_cli.limits import limits

__all__ = ["Command", "Group"]

_INDENT = "  "
_LEFT = 28
"""Characters of a row before its help; a longer name has its line to itself."""
_LEFT_NARROW = 8
"""The same in a terminal of less than :data:`_NARROW` characters."""
_NARROW = 50
_WIDEST = 110
"""Characters of a line in a wide terminal: longer ones are hard to read."""


class Command(TyperCommand):
    """A command with this help, whose numbers are finite."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest: list[str] = super().parse_args(ctx, args)
        check_finite(self, ctx)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_page(self, ctx))


class Group(TyperGroup):
    """A command that has others, with this help, whose numbers are finite."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest: list[str] = super().parse_args(ctx, args)
        check_finite(self, ctx)
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_page(self, ctx))


def _page(command: Any, ctx: Any) -> str:
    """Return the page for the terminal that it is printed on. Its colors are left out by typer
    where it is none."""
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST)
    with console.capture() as captured:
        usage = " ".join((ctx.command_path, *command.collect_usage_pieces(ctx)))
        _wrapped(console, Text.assemble(("Usage: ", "bold"), usage), indent=" " * 7)
        for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
            console.print()
            _wrapped(console, Text(" ".join(paragraph.split())))
        for title, rows in _panels(command, ctx).items():
            console.print()
            console.print(Text(title, style="bold"))
            for name, text in rows:
                _row(console, name, text)
    return captured.get()


def _panels(command: Any, ctx: Any) -> dict[str, list[tuple[Text, Text]]]:
    """Return titles and their rows: arguments, options, those of a runtime, commands."""
    panels: dict[str, list[tuple[Text, Text]]] = {"Arguments": [], "Options": []}
    for param in command.get_params(ctx):
        if getattr(param, "hidden", False):
            continue
        usual = "Arguments" if param.param_type_name == "argument" else "Options"
        rows = panels.setdefault(getattr(param, "rich_help_panel", None) or usual, [])
        rows.append((_name(param, ctx), _help(param, ctx)))
    commands = [
        (Text(name, style="bold cyan"), Text(_first_paragraph(found)))
        for name in (command.list_commands(ctx) if isinstance(command, Group) else ())
        if not (found := command.get_command(ctx, name)).hidden
    ]
    return {title: rows for title, rows in (panels | {"Commands": commands}).items() if rows}


def _name(param: Any, ctx: Any) -> Text:
    if param.param_type_name == "argument":
        return Text(param.display_name_raw, style="bold cyan")
    both = [", ".join(sorted(param.opts, key=len)), *param.secondary_opts]
    name = Text(" / ".join(both), style="bold cyan")
    if not param.is_flag:
        kind = param.display_type_rich(ctx=ctx) or ""
        name.append(f" {kind.replace(' range', '').replace('list[', '').replace(']', '')}", "cyan")
    return name


def _help(param: Any, ctx: Any) -> Text:
    text = Text(" ".join((param.help or "").split()))
    facts = " ".join(f"[{fact}]" for fact in _facts(param, ctx))
    return text.append(f" {facts}" if text.plain and facts else facts, "dim")


def _facts(param: Any, ctx: Any) -> Iterator[str]:
    if param.required:
        yield "required"
    default = param.get_default(ctx, call=False)
    if isinstance(default, bool):
        if param.secondary_opts:
            yield f"default: {(param.opts if default else param.secondary_opts)[0].lstrip('-')}"
    elif default not in (None, "", ()) and getattr(param, "show_default", True):
        yield f"default: {default:g}" if isinstance(default, float) else f"default: {default}"
    if limits(param):
        yield limits(param)
    if param.envvar:
        yield f"variable {param.envvar}"


def _first_paragraph(command: Any) -> str:
    text = inspect.cleandoc(command.short_help or command.help or "")
    return " ".join(text.partition("\n\n")[0].split())


def _row(console: Console, name: Text, text: Text) -> None:
    left = _LEFT if console.width >= _NARROW else _LEFT_NARROW
    shown = Text.assemble(_INDENT, name)
    if shown.cell_len + 2 > left:
        console.print(shown, soft_wrap=True)
        shown = Text()
    shown.pad_right(left - shown.cell_len)
    for index, line in enumerate(text.wrap(console, max(1, console.width - left))):
        line.rstrip()
        console.print(Text.assemble(shown if index == 0 else " " * left, line), soft_wrap=True)
    if not text.plain:
        console.print(shown, soft_wrap=True)


def _wrapped(console: Console, text: Text, indent: str = "") -> None:
    """Print ``text`` with ``indent`` before every line but the first."""
    for index, line in enumerate(text.wrap(console, max(1, console.width - len(indent)))):
        line.rstrip()
        console.print(Text.assemble(indent if index else "", line), soft_wrap=True)
