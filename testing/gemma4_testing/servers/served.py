"""A real `gemma4 serve` process for tests."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from gemma4_client import Client
from gemma4_runtime.server.board import BOARD_NAME, Board, Field

from gemma4_testing.servers.command import Command
from gemma4_testing.waiting import wait_until

__all__ = ["Served", "user"]


class Served(Command):
    """Started on free ports; ``stop`` drains."""

    def __init__(
        self, engine: Path, run_dir: Path, *args: str, env: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            "serve", "--engine", str(engine), "--http-port", "0", "--grpc-port", "0",
            "--metrics-port", "0", "--run-dir", str(run_dir), *args, env=env,
        )  # fmt: skip
        self.run_dir = run_dir
        self.http, self.grpc = self.banner_port("HTTP"), self.banner_port("gRPC")
        self.metrics = self.banner_port("metrics")

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.grpc}")

    def board(self) -> Board:
        return Board(self.run_dir / BOARD_NAME)

    def counted(self, field: Field) -> int:
        """Return a counter of the board as it is now: the engine's own are written there some
        milliseconds late, more on a busy machine."""
        board, now = self.board(), time.monotonic_ns()
        wait_until(lambda: board[Field.BEAT_NS] >= now, 10)
        return board[field]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v2/health/ready", timeout=2):
                return True
        except OSError:
            return False

    def idle(self) -> bool:
        board = self.board()
        return board[Field.IN_FLIGHT] == 0 and board[Field.ACTIVE] == 0 and board[Field.QUEUED] == 0


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def generate(server: Served, body: dict[str, Any], *, stream: bool = False) -> Any:
    """Of gemma4 over HTTP: one answer, or with ``stream`` the list of its responses."""
    name = "generate_stream" if stream else "generate"
    url = f"http://127.0.0.1:{server.http}/v2/models/gemma4/{name}"
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as reply:
        text = reply.read().decode()
    if not stream:
        return json.loads(text)
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
