"""``--log-format``: text in color on a terminal, JSON elsewhere, or what was asked for."""

from __future__ import annotations

import io

import pytest
import typer
from gemma4_cli.log_format import chosen_form


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("wanted", "stream", "env", "form"),
    [
        ("auto", Terminal(), {}, "color"),
        ("auto", Terminal(), {"NO_COLOR": "1"}, "text"),
        ("auto", Terminal(), {"TERM": "dumb"}, "text"),
        ("auto", io.StringIO(), {}, "json"),
        ("auto", io.StringIO(), {"FORCE_COLOR": "1"}, "json"),
        ("auto", None, {}, "json"),
        ("text", Terminal(), {}, "color"),
        ("text", io.StringIO(), {}, "text"),
        ("text", io.StringIO(), {"FORCE_COLOR": "1"}, "text"),
        ("text", None, {}, "text"),
        ("json", Terminal(), {}, "json"),
    ],
)
def test_forms(
    wanted: str,
    stream: io.StringIO | None,
    env: dict[str, str],
    form: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert chosen_form(wanted, stream) == form


def test_another_form_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        chosen_form("xml", None)
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "gemma4: --log-format xml: use text, json or auto\n"
