"""A Triton that one HTTP request can end is named where a person looks: banner, log and doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from gemma4_serve import supervisor
from gemma4_serve.doctor import machine
from gemma4_serve.install import TritonInstall
from gemma4_serve.links import Links
from gemma4_serve.process import TritonProcess
from gemma4_serve.triton_version import ask_version, outdated, stated_version

OLD = ["2.51.0", "2.71.0", "2.72.0", "2.72.9", "2.9.0", "1.0"]
FIXED = ["2.73.0", "2.73.0dev", "2.74.0", "2.100.0", "3.0.0"]


@pytest.mark.parametrize("version", OLD)
def test_named_with_risk_and_way_out(version: str) -> None:
    said = outdated(version) or ""
    for word in (f"Triton {version} ", "#8925", "2.73", "26.09", "gemma4 gateway"):
        assert word in said


@pytest.mark.parametrize("version", [*FIXED, "", "unknown"])
def test_others_are_not_blamed(version: str) -> None:
    assert outdated(version) is None


@pytest.fixture
def install(tmp_path: Path) -> TritonInstall:
    binary = tmp_path / "bin" / "tritonserver"
    binary.parent.mkdir()
    return TritonInstall(binary, tmp_path, {}, embedded=False, links=Links(tmp_path))


@pytest.mark.parametrize(
    ("content", "level", "says"),
    [
        (b"2.71.0\n", "warn", "2.71.0"),
        (b"2.73.0\n", "ok", "2.73.0"),
        (None, "ok", "unknown"),
        (b"\xff", "ok", "unknown"),
    ],
)
def test_doctor(
    install: TritonInstall, monkeypatch: pytest.MonkeyPatch, content: bytes | None, level: str,
    says: str,
) -> None:  # fmt: skip
    if content is not None:
        (install.binary.parents[1] / "TRITON_VERSION").write_bytes(content)
    monkeypatch.setattr(machine, "find_triton", lambda folder: install)
    found = machine._triton()
    assert found.level == level and says in found.detail
    assert (stated_version(install.binary) or "unknown") == says
    assert ("#8925" in found.way_out) == (level == "warn")


@pytest.fixture
def answering() -> Iterator[Any]:
    """A server whose metadata are what the test sets."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(cast("Any", self.server).body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (json.dumps({"name": "triton", "version": "2.71.0"}).encode(), "2.71.0"),
        (b"{}", ""), (b'{"version": 3}', ""), (b"[]", ""), (b"no JSON", ""),
    ],
)  # fmt: skip
def test_a_running_server_says_its_version(answering: Any, body: bytes, found: str) -> None:
    answering.body = body
    assert ask_version(f"http://127.0.0.1:{answering.server_port}/v2") == found


def test_a_server_that_does_not_answer() -> None:
    assert ask_version("http://127.0.0.1:1/v2") == ""


class Server:
    def __init__(self, version: str) -> None:
        self._version = version

    def triton_version(self) -> str:
        return self._version


def test_the_log_and_what_a_person_reads(
    install: TritonInstall, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(
        supervisor, "log_event", lambda name, **fields: events.append((name, fields))
    )
    warn = supervisor._warning
    assert warn(install, cast("TritonProcess", Server("2.73.0"))) is None
    assert warn(install, cast("TritonProcess", Server(""))) is None and not events
    said = warn(install, cast("TritonProcess", Server("2.71.0")))
    assert said is not None and events[0][0] == "triton_outdated"
    assert events[0][1]["version"] == "2.71.0" and events[0][1]["level"] == "warning"
