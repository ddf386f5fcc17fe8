"""`-h` is help everywhere, whole at any width, and options that only one runtime takes stand under
its name."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from gemma4_build.gpu_options import GpuOptions
from gemma4_cli import build
from gemma4_cli.main import app
from gemma4_testing.terminal import Terminal
from typer.testing import CliRunner

GEMMA4 = str(Path(sys.executable).with_name("gemma4"))


def commands(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(found, "commands", {}).items():
        yield from commands(command, (*path, name))


def command_of(path: tuple[str, ...]) -> Any:
    found: Any = ROOT
    for name in path:
        found = found.commands[name]
    return found


ROOT = typer.main.get_command(app)
PATHS = list(commands(ROOT))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_both_forms(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(app, [*path, form]) for form in ("-h", "--help"))
    assert short.exit_code == 0 and "Usage:" in short.output
    assert short.output == long.output


def words(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(
    "color", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "TERM": "xterm"}], ids=str
)
@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_nothing_is_cut_at_any_width(
    path: tuple[str, ...], width: int, color: dict[str, str]
) -> None:
    env = {"COLUMNS": str(width), "NO_COLOR": None, "FORCE_COLOR": None} | color
    output = CliRunner().invoke(app, [*path, "--help"], env=env).output
    lines = output.splitlines()
    names = {
        name for param in command_of(path).params for name in (*param.opts, *param.secondary_opts)
    }
    whole = " ".join(words(output))
    for param in command_of(path).params:
        assert param.help, f"{param.opts} has no help"
        if width >= 60:  # below, a word may be longer than a line
            assert " ".join(words(param.help)) in whole
    for name in names:
        assert re.search(rf"^ .*(?<![\w-]){re.escape(name)}(?![\w-])", output, re.M), name
    assert "…" not in output
    for line in lines:
        assert len(line) <= width or not line.startswith("   "), line  # a name of its own line
    for name, command in getattr(command_of(path), "commands", {}).items():
        assert re.search(rf"^  {name}\b", output, re.M)
        assert (
            " ".join(words((command.short_help or command.help).split("\n\n")[0])) in whole
            or width < 60
        )


def in_terminal(*args: str, columns: int, **env: str) -> str:
    usual = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")
    }
    child = Terminal(
        GEMMA4, list(args), encoding="utf-8", timeout=60, dimensions=(24, columns),
        env=usual | {"TERM": "xterm-256color"} | env,
    )  # fmt: skip
    output: str = child.read()
    child.close()
    assert child.exitstatus == 0
    return output


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal(columns: int) -> None:
    colored = in_terminal("gateway", "--help", columns=columns)
    plain = in_terminal("gateway", "--help", columns=columns, NO_COLOR="1")
    assert "\x1b[1;36m--key-requests-per-minute\x1b" in colored
    assert re.findall(r"\x1b\[[\d;]*m", plain) == [
        code
        for code in re.findall(r"\x1b\[[\d;]*m", plain)
        if code in ("\x1b[1m", "\x1b[2m", "\x1b[0m")
    ]
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == re.sub(r"\x1b\[[\d;]*m", "", plain)
    assert all(len(re.sub(r"\x1b\[[\d;]*m", "", line)) <= columns for line in plain.splitlines())


def test_there_are_several_commands() -> None:
    assert {("build",), ("serve",), ("load", "compare")} <= set(PATHS)


def test_panels_of_build() -> None:
    options: Any = ROOT.commands["build"].params  # type: ignore[attr-defined]
    panels = {option.name: option.rich_help_panel for option in options}
    gpu = {name for name, panel in panels.items() if panel == build._GPU}
    assert gpu == {field.name for field in fields(GpuOptions)}
    assert panels["byte_tokens"] == panels["prefill_batch"] == build._LLAMA
    assert panels["tokens_per_step"] == build._SYNTHETIC
    shown = CliRunner().invoke(app, ["build", "--help"]).output
    after = {panel: shown.partition(f"\n{panel}\n")[2] for panel in (build._LLAMA, build._GPU)}
    assert "--byte-tokens" in after[build._LLAMA] and "--tp" in after[build._GPU]
    assert "--byte-tokens" not in after[build._GPU]
