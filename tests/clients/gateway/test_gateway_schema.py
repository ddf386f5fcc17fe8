"""schemathesis' command against the gateway's OpenAPI document, with every check of it.

Coverage: of each operation, every boundary and wrong type of every parameter, other methods,
missing headers: thousands of requests. Stateful: responses are made, read and deleted in any order,
by the links of the document. Left out is one check, that every request is accepted that fits the
document: much is refused for what several fields say together."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gemma4_gateway.settings import StoreOptions
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before

LIMIT_S = 900
"""Seconds of a run on a machine that is busy; it has half a minute of work."""
STORED = r"^/v1/responses(/\{.*|)$"


@pytest.mark.timeout(LIMIT_S + 60)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--phases=coverage"], r"Tested: +21\b.*\b[1-9]\d{3} generated"),
        (
            ["--phases=stateful", "--max-examples=20", f"--include-path-regex={STORED}"],
            r"API Links: +3 covered",
        ),
    ],
)
def test_the_gateway_is_what_its_document_says(
    tmp_path: Path, options: list[str], says: str
) -> None:
    store = StoreOptions(tmp_path / "responses.db")
    hooks = {"SCHEMATHESIS_HOOKS": "gemma4_testing.fakes.schemathesis_hooks"}
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with fake_backend("good") as backend, gateway_before(backend.address, store=store) as gateway:
        ran = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{gateway.url}/openapi.json",
             "--checks=all", "--exclude-checks=positive_data_acceptance", "--continue-on-failure",
             "--request-timeout=60", "--seed=1", "--no-color", *options],
            cwd=tmp_path, env=os.environ | hooks | path,
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert "Traceback" not in gateway.log.getvalue()
    told = ran.stdout + ran.stderr
    assert ran.returncode == 0, told[-6000:]
    assert re.search(says, told, re.S), told[-3000:]
