"""What the tests of `gemma4 load` and of locust share."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from gemma4_load.report.files import read_report

from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served

PACE_S, PREFILL_S = 0.02, 1 / 1000
"""Seconds a token of the ``paced`` engine."""


def url(paced: tuple[Served, RunningGateway], protocol: str) -> str:
    served, gateway = paced
    return {
        "grpc": f"127.0.0.1:{served.grpc}",
        "http": f"http://127.0.0.1:{served.http}",
        "openai": f"{gateway.url}/v1",
    }[protocol]


def load(*args: str, limit: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    command = [str(GEMMA4), "load", *args]
    if limit:
        command = ["bash", "-c", f'ulimit -f {limit}; exec "$@"', "load", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def level(folder: Path, at: int = 0) -> dict[str, Any]:
    return read_report(folder)["levels"][at]
