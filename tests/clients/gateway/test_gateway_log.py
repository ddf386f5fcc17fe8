"""What a client sends cannot forge a line of the log."""

from __future__ import annotations

import io
import json

import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.record import Record

NASTY = "/v1/x\n00:00:00 request status=200 \x1b[2J\x9b"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_path_stays_on_its_line(form: str) -> None:
    out = io.StringIO()
    log = Log(form, out)
    log.request(Record("req_1", "GET", NASTY, status=404))
    log.close()
    text = out.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "\x1b" not in text
    if form == "json":
        assert json.loads(text)["path"] == NASTY
