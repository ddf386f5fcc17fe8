"""A report to send names no folders, hosts or users."""

from __future__ import annotations

import json
import socket

from gemma4_serve.doctor.report import Report, Result
from gemma4_serve.doctor.scrub import scrub


def test_paths_are_cut_to_their_last_part() -> None:
    text = "/home/ann/engines/demo/engine.json: bad; /dev/shm has 3 MiB; http://127.0.0.1:80/v2/x"
    assert scrub(text) == ".../engine.json: bad; /dev/shm has 3 MiB; http://127.0.0.1:80/v2/x"


def test_a_report_to_send() -> None:
    report = Report()
    report.add("Engine", Result("x", "fail", f"/srv/secret/name on {socket.gethostname()}"))
    sent = report.to_send()
    assert "/srv" not in sent and f"on {socket.gethostname()}" not in sent
    data = json.loads(sent)
    assert data["failed"] == 1 and any(".../name on HOST" in line for line in data["text"])
