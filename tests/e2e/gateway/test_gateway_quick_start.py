"""What docs/quick_start.md tells a newcomer to type works, as it stands, but for the ports, on the
gateway that the page starts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "quick_start.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.S)
COMMANDS = [b for b in BLOCKS if not b.startswith("make ")]
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
SAYS = [
    ["15"], ['"finish_reason":"stop"'], ["text_output"], ["Paris"],
    ["call: get_weather", "21 degrees"], ["call: get_weather", "21 degrees"], ["Paris"], ["Paris"],
]  # fmt: skip


@pytest.fixture
def here(named_gateway: RunningGateway, server: Served) -> Callable[[str], str]:
    def place(text: str) -> str:
        for old, new in (
            ("http://127.0.0.1:8080", named_gateway.url),
            ("http://127.0.0.1:8000", f"http://127.0.0.1:{server.http}"),
            ("127.0.0.1:8001", f"127.0.0.1:{server.grpc}"),
        ):
            text = text.replace(old, new)
        # The environment of `make`, where the tests' packages are too: nothing is installed twice.
        text = re.sub(r"^\.venv/bin/pip install .*\n", "", text, flags=re.MULTILINE)
        return text.replace(".venv/bin/python", sys.executable)

    return place


def test_all_blocks_are_here() -> None:
    assert len(COMMANDS) + len(PROGRAMS) == len(SAYS)


@pytest.mark.parametrize(("index", "block"), [*enumerate(COMMANDS + PROGRAMS)])
def test_block(here: Callable[[str], str], index: int, block: str) -> None:
    start = [sys.executable, "-c"] if block in PROGRAMS else ["bash", "-ec"]
    ran = subprocess.run(
        [*start, here(block)], capture_output=True, text=True, timeout=120, cwd=ROOT,
        env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    for text in SAYS[index]:
        assert text in ran.stdout
