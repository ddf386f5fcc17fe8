"""What docs/quick_start.md tells a newcomer to type works, as it stands, but for the ports."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served

PAGE = (Path(__file__).parents[3] / "docs" / "quick_start.md").read_text(encoding="utf-8")
COMMANDS = [b for b in re.findall(r"```sh\n(.*?)```", PAGE, re.S) if b.startswith("curl")]
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SAYS = ["15", '"finish_reason":"stop"', "text_output", "Paris", "Paris"]


@pytest.fixture
def here(gateway: RunningGateway, server: Served) -> Callable[[str], str]:
    def place(text: str) -> str:
        for old, new in (
            ("http://127.0.0.1:8080", gateway.url),
            ("http://127.0.0.1:8000", f"http://127.0.0.1:{server.http}"),
            ("127.0.0.1:8001", f"127.0.0.1:{server.grpc}"),
            ("gemma-4", MODEL),
        ):
            text = text.replace(old, new)
        return text

    return place


def test_all_blocks_are_here() -> None:
    assert len(COMMANDS) + len(PROGRAMS) == len(SAYS)


@pytest.mark.parametrize(("index", "block"), [*enumerate(COMMANDS + PROGRAMS)])
def test_block(here: Callable[[str], str], index: int, block: str) -> None:
    start = [sys.executable, "-c"] if block in PROGRAMS else ["bash", "-c"]
    ran = subprocess.run([*start, here(block)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert SAYS[index] in ran.stdout
