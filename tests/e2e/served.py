"""A real `gemma4 serve` process for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from threading import Thread

from gemma4_client import Client
from gemma4_runtime.server.board import BOARD_NAME, Board, Field

START_S = 120


class Served:
    """Started on free ports; ``stop`` drains. ``output`` is everything it printed."""

    def __init__(self, engine: Path, run_dir: Path, *args: str, env: dict[str, str] | None = None):
        self.run_dir = run_dir
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("gemma4")), "serve", "--engine", str(engine),
                "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0",
                "--run-dir", str(run_dir), *args,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | (env or {}),
        )  # fmt: skip
        Thread(target=self._read, daemon=True).start()
        self.wait_for("Ctrl-C stops")
        text = "".join(self.output)
        self.http = int(re.search(r"HTTP +http://[\d.]+:(\d+)", text)[1])
        self.grpc = int(re.search(r"gRPC +[\d.]+:(\d+)", text)[1])

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output.append(line)

    def wait_for(self, text: str, *, times: int = 1, timeout: float = START_S) -> None:
        wait_until(
            lambda: "".join(self.output).count(text) >= times or self.process.poll() is not None,
            timeout,
        )
        assert "".join(self.output).count(text) >= times, "".join(self.output[-30:])

    def client(self) -> Client:
        return Client(f"127.0.0.1:{self.grpc}")

    def board(self) -> Board:
        return Board(self.run_dir / BOARD_NAME)

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v2/health/ready", timeout=2):
                return True
        except OSError:
            return False

    def idle(self) -> bool:
        board = self.board()
        return board[Field.IN_FLIGHT] == 0 and board[Field.ACTIVE] == 0 and board[Field.QUEUED] == 0

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def wait_until(condition, timeout: float) -> float:
    """Poll every 5 ms; seconds until true. Fails the test when it never is."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"not within {timeout} s"
        time.sleep(0.005)
    return time.monotonic() - started


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]
