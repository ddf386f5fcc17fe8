"""What the pages tell a reader to send works, as it stands, but for the ports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served

ROOT = Path(__file__).parents[3]
PAGES = ("README.md", "docs/docker.md", "docs/guides.md", "docs/h100.md", "docs/write_client.md")


def samples(page: str) -> list[tuple[str, str]]:
    """Return language and text of the blocks of a page that send a request."""
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^docker compose up .*\n", "", text, flags=re.MULTILINE)
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(kind, code) for kind, code in blocks if kind == "python" or code.startswith("curl -s")]


@pytest.mark.parametrize("page", PAGES)
def test_the_samples_of_a_page(server: Served, named_gateway: RunningGateway, page: str) -> None:
    assert samples(page)
    for kind, block in samples(page):
        code = block.replace("127.0.0.1:8001", f"127.0.0.1:{server.grpc}")
        code = code.replace("127.0.0.1:8000", f"127.0.0.1:{server.http}")
        code = code.replace("http://127.0.0.1:8080", named_gateway.url)
        start = [sys.executable, "-c"] if kind == "python" else ["bash", "-ec"]
        ran = subprocess.run([*start, code], capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert re.search("Paris|15|text_output|1 2 3", ran.stdout), ran.stdout
        assert "error" not in ran.stdout
