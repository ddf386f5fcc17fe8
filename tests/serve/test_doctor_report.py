"""A report to send names no secrets, folders, hosts or users, and is there when the rest is not."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.manifest import read_manifest
from gemma4_serve.doctor.evidence import engine_record, environment_record
from gemma4_serve.doctor.report import Report, Result
from gemma4_serve.doctor.report_file import ReportFile
from gemma4_serve.doctor.scrub import scrub
from gemma4_testing.engine_folders.trtllm_folder import make_folder


def test_paths_are_cut_to_their_last_part() -> None:
    text = "/home/ann/engines/demo/engine.json: bad; /dev/shm has 3 MiB; http://127.0.0.1:80/v2/x"
    assert scrub(text) == ".../engine.json: bad; /dev/shm has 3 MiB; http://127.0.0.1:80/v2/x"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("PATH=/srv/ann/bin:/srv/bob/bin", "PATH=.../bin:.../bin"),
        ("file:/srv/ann/x.yaml", "file:.../x.yaml"),
        ("https://nvcr.io/nvidia/tensorrt-llm", "https://nvcr.io/nvidia/tensorrt-llm"),
        ("https://ann:pa55word@host/x", "https://SECRET@host/x"),
        ("HF_TOKEN is hf_abcdefghijklmnopqrst", "HF_TOKEN is SECRET"),
        ("Authorization: Bearer abcdef.123456", "Authorization: Bearer SECRET"),
        ("GPU-01234567-89ab-cdef-0123-456789abcdef fell", "GPU-ID fell"),
        ("cuDNN 9.13.0.50", "cuDNN 9.13.0.50"),
    ],
)
def test_texts(text: str, wanted: str) -> None:
    assert scrub(text) == wanted


def test_secrets_by_the_name_of_their_setting() -> None:
    given = {
        "hf_token": "x",
        "api_key": "y",
        "tokens": 3,
        "env_overrides": {"A": "z"},
        "ids": ["q"],
    }
    wanted = given | {"hf_token": "SECRET", "api_key": "SECRET", "env_overrides": {"A": "SECRET"}}
    assert scrub(given) == wanted


def test_a_secret_that_a_program_has_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_REGISTRY_PASSWORD", "correct horse")
    assert scrub("login with correct horse failed") == "login with SECRET failed"


def test_a_report_to_send() -> None:
    report = Report()
    report.add("Engine", Result("x", "fail", f"/srv/secret/name on {socket.gethostname()}"))
    sent = report.to_send()
    assert "/srv" not in sent and f"on {socket.gethostname()}" not in sent
    data = json.loads(sent)
    assert data["failed"] == 1 and any(".../name on HOST" in line for line in data["text"])


def test_what_was_found_before_the_end_is_in_the_file(tmp_path: Path) -> None:
    file = ReportFile(tmp_path / "report.json")
    report = Report(changed=file.found_more)
    report.add("Machine", Result("memory", "ok", "much"))
    assert "much" in (tmp_path / "report.json").read_text()
    with pytest.raises(FileNotFoundError):
        Report(changed=ReportFile(tmp_path / "no" / "report.json").found_more).add("Machine")


def test_a_pipe_gets_one_text(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = ReportFile(tmp_path / "pipe")
    report = Report(changed=file.found_more)
    report.add("Machine", Result("memory", "ok", "much"))
    report.add("Machine", Result("disk", "ok", "more"))
    file.end(report)
    assert json.loads(os.read(reader, 1 << 16))["failed"] == 0
    os.close(reader)


def test_manifest_and_arguments_are_in_it(checkpoint: Path, tmp_path: Path) -> None:
    folder = make_folder(checkpoint, tmp_path / "engine", slots=2)
    records: dict[str, Any] = {}
    for result in engine_record(folder, read_manifest(folder)):
        records |= result.figures
    assert records["manifest"]["runtime_version"] == "1.3.0rc29"
    assert records["manifest"]["limits"]["slots"] == 2
    assert records["llm_args"]["scheduler_config"] == {
        "capacity_scheduler_policy": "MAX_UTILIZATION"
    }


def test_the_image_and_our_settings_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRT_LLM_VERSION", "1.3.0rc29")
    monkeypatch.setenv("GEMMA4_GATEWAY_API_KEY", "abc")
    monkeypatch.setenv("GEMMA4_CACHE_DIR", "/srv/ann/cache")
    report = Report()
    report.add("Software", *environment_record())
    sent = report.to_send()
    assert "TRT_LLM_VERSION 1.3.0rc29" in sent and ".../cache" in sent
    assert "abc" not in sent and "ann" not in sent
