"""aiconfigurator itself, asked by `gemma4 plan fit`: `make test-second-opinion`."""

from __future__ import annotations

import json
import os

from gemma4_cli.main import app
from typer.testing import CliRunner

PROGRAM = os.environ["AICONFIGURATOR"]
FIT = ("plan", "fit", "--gpu", "h200", "--precision", "bf16", "--json", "--second-opinion-seconds", "800",
       "--second-opinion", PROGRAM)  # fmt: skip


def asked(*words: str) -> dict[str, object]:
    ran = CliRunner().invoke(app, [*FIT, *words])
    assert ran.exit_code == 0, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout)["result"]["second_opinion"]
    return found


def test_it_answers_within_the_slos() -> None:
    found = asked("--ttft-ms", "500", "--itl-ms", "30")
    assert found["missing"] is None, found
    assert found["version"] == "0.12.0"
    itl, ttft, speed = found["itl_ms"], found["ttft_ms"], found["tokens_per_s_per_gpu"]
    assert isinstance(itl, float) and isinstance(ttft, float) and isinstance(speed, float)
    assert 0 < itl <= 30 and 0 < ttft <= 500 and 1000 < speed < 20_000


def test_it_says_why_it_has_no_answer() -> None:
    """Our own estimate holds 6.7 ms with one stream; it does not."""
    found = asked("--itl-ms", "7", "--ttft-ms", "30")
    assert found["streams"] is None or isinstance(found["streams"], int)
    assert (found["missing"] is None) == (found["streams"] is not None)
