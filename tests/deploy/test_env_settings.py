"""Every setting of .env.example with a wrong value is refused by what reads it. What containers
refuse, `make test-compose` tries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from gemma4_cli.main import app
from gemma4_testing.deploy.compose_files import ROOT, services
from gemma4_testing.deploy.wrong_settings import (
    ANY_TEXT,
    COMMAND_LINE,
    CONTAINERS,
    MOUNTED,
    NOT_REFUSED,
    Wrong,
)

GROUP = typer.main.get_group(app)


def test_every_setting_is_tried() -> None:
    text = (ROOT / ".env.example").read_text()
    tried = [wrong.variable for wrong in (*COMMAND_LINE, *CONTAINERS)]
    assert len(tried) == len(set(tried)) and not (ANY_TEXT | NOT_REFUSED) & set(tried)
    assert {*tried, *ANY_TEXT, *NOT_REFUSED} == set(re.findall(r"^#([A-Z0-9_]+)=", text, re.M))


def test_the_values_are_not_the_defaults() -> None:
    text = (ROOT / ".env.example").read_text()
    for wrong in (*COMMAND_LINE, *CONTAINERS):
        assert f"#{wrong.variable}={wrong.value}\n" not in text
        assert wrong.service in services(*filter(None, (wrong.profile,)), **wrong.env)


@pytest.mark.parametrize("wrong", COMMAND_LINE, ids=lambda wrong: wrong.variable)
def test_what_the_command_line_refuses(
    wrong: Wrong,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command of the service with its variables, its paths led to this machine."""
    service = services("*", **wrong.env)[wrong.service]
    command = service["command"]
    for name, value in service.get("environment", {}).items():
        monkeypatch.setenv(name, "" if value is None else str(value))
    assert command[0] == "gemma4"
    (tmp_path / "empty").mkdir()
    checkpoint = tmp_path / "empty" if wrong.variable == "CHECKPOINT" else ROOT / "demo/checkpoint"
    paths = {"/checkpoint": str(checkpoint), "/engine/cpu": str(tmp_path / "engine"),
             "/engine/current": str(tmp_path / "engine")}  # fmt: skip
    words = [paths.get(str(word), str(word)) for word in command[1:]]
    status = GROUP.main(words, prog_name="gemma4", standalone_mode=False)
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    assert status in (1, 2) and len(lines) == 1, said
    for word in (*wrong.words, *([] if wrong.variable in MOUNTED else [wrong.value])):
        assert word in lines[0]
    assert not (tmp_path / "engine").exists()
