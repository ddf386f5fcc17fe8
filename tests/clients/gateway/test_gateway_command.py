"""Starts of `gemma4 gateway` that cannot work say which flag, and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_cli.main import app
from typer.testing import CliRunner


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--backend", "http://localhost:8001"], "is a URL; give host:port"),
        (["--backend", "::1:8001"], "brackets, as in [::1]:8001"),
        (["--backend", "localhost"], "must be host:port"),
        (["--backend", "localhost:99999"], "must be host:port"),
        (["--backend", ":8001"], "must be host:port"),
        (["--backend", "localhost:²"], "must be host:port"),
        (["--backend", "localhost:+1"], "must be host:port"),
        (["--backend", "my host:8001"], "must be host:port"),
        (["--backend", "host/path:8001"], "must be host:port"),
        (["--backend", "u:p@host:8001"], "--backend ...@host:8001: must be host:port"),
        (["--api-keys-file", "/nowhere.json"], "No such file"),
        (["--log-format", "xml"], "use text, json or auto"),
        (["--served-model-name", ""], "--served-model-name '': must be printable"),
        (["--served-model-name", "a\n"], "must be printable"),
        (["--served-model-name", "a" * 257], "has 257 characters; at most 256"),
        (["--host", "192.0.2.1"], "choose another"),
        (["--port", "70000"], "--port"),
        (["--timeout", "0"], "--timeout"),
        (["--workers", "0"], "--workers 0: must be from 1 to 64"),
        (["--workers", "-1"], "--workers -1: must be from 1 to 64"),
        (["--workers", "two"], "--workers two: must be a whole number"),
        (["--workers", "1000"], "--workers 1000: must be from 1 to 64"),
        (["--workers", "4", "--queue-length", "3"], "--queue-length 3: --workers 4 have a part"),
        (["--workers", "4", "--queue-tokens", "3"], "--queue-tokens 3: --workers 4 have a part"),
        (["--workers", "2", "--host", "192.0.2.1"], "choose another"),
        (["new-key", "--name", "a", "--api-keys-file", "/nowhere/keys.json"], "No such file"),
        (["new-key", "--name", "a b", "--api-keys-file", "{tmp}/keys.json"], "A-Z"),
    ],
)
def test_a_start_that_cannot_work(args: list[str], says: str, tmp_path: Path) -> None:
    args = [arg.format(tmp=tmp_path) for arg in args]
    ran = CliRunner().invoke(app, ["gateway", *args], env={"COLUMNS": "200"})
    assert ran.exit_code == 2, ran.output
    assert says in ran.stderr
    assert "Traceback" not in ran.output
