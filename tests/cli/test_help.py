"""`-h` is help everywhere, and options that only one runtime takes stand under its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
import typer
from gemma4_build.gpu_options import GpuOptions
from gemma4_cli import build
from gemma4_cli.main import app
from typer.testing import CliRunner


def commands(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, command in getattr(found, "commands", {}).items():
        yield from commands(command, (*path, name))


ROOT = typer.main.get_command(app)
PATHS = list(commands(ROOT))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_both_forms(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(app, [*path, form]) for form in ("-h", "--help"))
    assert short.exit_code == 0 and "Usage:" in short.output
    assert short.output == long.output


def test_there_are_several_commands() -> None:
    assert {("build",), ("serve",), ("load", "compare")} <= set(PATHS)


def test_panels_of_build() -> None:
    options: Any = ROOT.commands["build"].params  # type: ignore[attr-defined]
    panels = {option.name: option.rich_help_panel for option in options}
    gpu = {name for name, panel in panels.items() if panel == build._GPU}
    assert gpu == {field.name for field in fields(GpuOptions)}
    assert panels["byte_tokens"] == panels["prefill_batch"] == build._LLAMA
    assert panels["tokens_per_step"] == build._SYNTHETIC
