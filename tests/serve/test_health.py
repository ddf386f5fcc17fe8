"""What `--health-port` answers: live and ready are two things, and each says why not."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gemma4_runtime.server.board import Board, Field
from gemma4_serve import health as module
from gemma4_serve.health import Health
from gemma4_serve.health_server import HealthServer
from gemma4_testing.waiting import wait_until

Ask = Callable[[str], tuple[int, dict[str, str | None]]]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path / "board", create=True)
    yield made
    made.close()


@pytest.fixture
def health(tmp_path: Path) -> Health:
    return Health(tmp_path / "board")


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    made = HealthServer("127.0.0.1", 0, health)
    yield made
    made.close()


@pytest.fixture
def ask(server: HealthServer) -> Ask:
    def get(path: str) -> tuple[int, dict[str, str | None]]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
        connection.request("GET", path)
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, json.loads(content) if reply.status != 404 else {}

    return get


def test_a_life(ask: Ask, health: Health, board: Board) -> None:
    """From the start over a lost process and a failed gate to the end. It lives all the time."""
    steps: list[tuple[Callable[[], object], int, str, str]] = [
        (health.starting, 503, "starting", "the engine is loading"),
        (health.serving, 200, "ready", ""),
        (lambda: health.restarting("killed"), 503, "restarting", "starts again: killed"),
        (health.starting, 503, "restarting", "starts again: killed"),
        (health.serving, 200, "ready", ""),
        (lambda: board.__setitem__(Field.GATE_FAILED, 1), 200, "ready", ""),
        (lambda: board.__setitem__(Field.GATE_CLOSED, 1), 503, "not ready", "quality gate failed"),
        (lambda: board.__setitem__(Field.GATE_CLOSED, 0), 200, "ready", ""),
        (lambda: board.__setitem__(Field.DRAINING, 1), 503, "draining", "no more requests"),
        (health.draining, 503, "draining", "told to stop"),
    ]
    for do, code, status, reason in steps:
        do()
        found, body = ask("/health/ready")
        assert (found, body["status"]) == (code, status)
        assert reason in (body["reason"] or "") and (body["reason"] is None) is not bool(reason)
        assert ask("/health/live") == (200, {"status": "live", "reason": None, "gate": None})
    assert ask("/health")[0] == 404


def test_the_gate_is_named_where_it_is_only_reported(
    ask: Ask, health: Health, board: Board
) -> None:
    health.serving()
    board[Field.GATE_FAILED] = 1
    assert ask("/health/ready") == (200, {"status": "ready", "reason": None, "gate": "failed"})


def test_without_a_board_it_is_not_ready(ask: Ask, health: Health) -> None:
    health.serving()
    code, body = ask("/health/ready")
    assert code == 503 and "status board cannot be read" in str(body["reason"])


def test_a_supervisor_that_stands_still_does_not_live(
    ask: Ask, health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_S", 0.2)
    wait_until(lambda: ask("/health/live")[0] == 503, 5)
    assert "has stood still for" in str(ask("/health/live")[1]["reason"])
    health.look()
    monkeypatch.setattr(module, "SILENT_S", 60.0)
    assert ask("/health/live")[0] == 200


def test_clients_that_say_nothing_do_not_hold_it_up(
    ask: Ask, server: HealthServer, health: Health, board: Board
) -> None:
    """Twice as many as it takes at once. They are gone after two seconds."""
    health.serving()
    silent = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(32)]
    began = time.monotonic()

    def answers() -> bool:
        try:
            return ask("/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    wait_until(answers, 10, every=0.05)
    assert time.monotonic() - began < 8
    for each in silent:
        each.close()


@pytest.mark.parametrize(
    "sent", [b"\r\n\r\n", b"\x00\xff\n", b"GET\r\n\r\n", b"PUT /health/live HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_question(ask: Ask, server: HealthServer, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        while client.recv(1000):
            pass
    assert ask("/health/live")[0] == 200
