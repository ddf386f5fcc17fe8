"""No option takes a secret: what is on a command line, everybody on the machine can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from gemma4_cli.main import app

SECRET = re.compile(
    r"(?i)token$|secret|passw|credential|api.?key|private|key(s)?(_?file)?$|auth$|cookie"
)


def every_option(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for parameter in command.params:
        yield name, parameter
    for other, inner in getattr(command, "commands", {}).items():
        yield from every_option(inner, f"{name} {other}".strip())


OPTIONS = list(every_option(typer.main.get_command(app)))


def test_what_is_secret_is_in_a_file() -> None:
    found = {
        f"{name} {p.name}": p
        for name, p in OPTIONS
        if SECRET.search(str(p.name)) and p.type_descriptor.annotation is not int
    }
    assert found.keys() == {
        "gateway api_keys_file", "gateway ssl_keyfile", "gateway backend_ssl_keyfile",
        "gateway new-key api_keys_file", "serve ssl_keyfile",
    }  # fmt: skip
    for name, parameter in found.items():
        assert parameter.type_descriptor.annotation is Path, name


@pytest.mark.parametrize("option", ["--url", "--metrics-url"])
@pytest.mark.parametrize(
    "form", ["http://{}@127.0.0.1:9/v1", "https://me:{}@h/v1", "{}@127.0.0.1:9", "grpc://{}@h:1"]
)
def test_a_url_with_a_password_is_refused_and_not_repeated(
    option: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "hunter2-hunter2"
    group = typer.main.get_group(app)
    status = group.main(["load", option, form.format(secret)], standalone_mode=False)
    said = "".join(capsys.readouterr())
    assert status == 2
    assert f"{option} ...@" in said and "GEMMA4_LOAD_API_KEY" in said
    assert secret not in said
