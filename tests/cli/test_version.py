"""`gemma4 --version`, and that the changelog knows the version."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from gemma4_cli import main

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "serve"]])
def test_it_is_that_of_the_installed_package(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "gemma4_cli", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ran.returncode, ran.stdout) == (0, f"gemma4 {version('gemma4-triton')}\n"), ran.stderr


def test_without_an_installation_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "_DISTRIBUTION", "gemma4-no-such-package")
    with pytest.raises(typer.Exit) as ended:
        main._show_version(True)
    assert ended.value.exit_code == 1
    assert "not installed" in capsys.readouterr().err


def test_the_changelog_begins_with_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.M)[0] == project["version"]
