"""What a client sends cannot forge a line of the log."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.record import Record
from gemma4_testing.cases.nasty_text import check, to_gateway
from gemma4_testing.fakes.in_process_gateway import gateway_before

NASTY = "/v1/x\n00:00:00 request status=200 \x1b[2J\x9b"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_stays_on_its_line(form: str) -> None:
    out = io.StringIO()
    log = Log(form, out)  # type: ignore[arg-type]
    log.request(Record("req_1", "GET", NASTY, status=404))
    log.close()
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "\x1b" not in text
    if form == "json":
        assert json.loads(text)["path"] == NASTY


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_text_of_a_user_forges_a_line(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every place of a request; the gateway is real, and no server is behind it."""
    with gateway_before("127.0.0.1:9") as gateway:
        gateway.gateway.log.take_logging()
        monkeypatch.setattr(gateway.gateway.log, "_form", form)
        to_gateway(gateway.port, "key", random.Random(f"nasty {form}"))
    gateway.gateway.log.close()
    text = gateway.log.getvalue()
    lines = [f"{line}\n" for line in text.split("\n")[:-1]]
    assert len(lines) > 100
    assert check(lines, form) > 20
    assert any("log_repeated" in line for line in lines)  # of what uvicorn could not read
