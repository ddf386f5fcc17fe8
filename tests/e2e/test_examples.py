"""The examples of clients/examples, as they are, and those of docs/python_sdk.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from gemma4_testing.servers.served import Served

ROOT = Path(__file__).parents[2]
SAYS = {
    "quickstart.py": ["Paris", "1 2 3", "first after"],
    "conversation.py": ["15", "Tokyo"],
    "tools.py": ["called with {'city': 'Paris'}"],
    "structured.py": ["True|False", "yes|no", "cut off: "],
    "many.py": [r"7 \+ 8 = 15", "1 2 3"],
    "careful.py": [
        "refused: max_tokens: 0", "too slow: ", "from the server\n.*from the cache", "llama_cpp f32",
    ],
}  # fmt: skip


def run(code_or_file: Sequence[str | Path], *arguments: str, **env: Any) -> str:
    ran = subprocess.run(
        [sys.executable, *code_or_file, *arguments],
        capture_output=True, text=True, timeout=60, env=os.environ | env,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_example_is_run() -> None:
    """Those that go through the gateway: tests/e2e/gateway/test_gateway_examples.py."""
    names = {p.name for p in (ROOT / "clients" / "examples").glob("*.py")}
    others = {n for n in names if n.split("_")[0] in ("openai", "langchain", "litellm")}
    assert names - others == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_example(server: Served, name: str) -> None:
    out = run([ROOT / "clients" / "examples" / name], f"127.0.0.1:{server.grpc}")
    for pattern in SAYS[name]:
        assert re.search(pattern, out), out


def test_over_http(server: Served) -> None:
    out = run([ROOT / "clients" / "examples" / "careful.py"], f"http://127.0.0.1:{server.http}")
    for pattern in SAYS["careful.py"]:
        assert re.search(pattern, out), out


def test_the_code_of_the_page(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every Python block, one after the other, in one program; addresses are put in."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "python_sdk.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 6
    code = "\n".join(blocks)
    code = code.replace("127.0.0.1:8001", f"127.0.0.1:{server.grpc}")
    code = code.replace("127.0.0.1:8000", f"127.0.0.1:{server.http}")
    assert "Paris" in run(["-c", code])
