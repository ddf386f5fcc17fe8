"""The examples in clients/examples that go through the gateway, as a user runs them: the openai
package, LangChain, LiteLLM."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway

EXAMPLES = Path(__file__).parents[3] / "clients" / "examples"
LOOP = ["call: get_weather", "Oslo", "sunny", "21 degrees"]
SAYS = {
    "openai_chat.py": ["Paris", "The user asks for the capital of France"],
    "openai_tools.py": LOOP,
    "openai_structured.py": ["Review(mood="],
    "langchain_tools.py": LOOP,
    "litellm_tools.py": LOOP,
}


@pytest.fixture(scope="module")
def ran(gateway: RunningGateway) -> dict[str, subprocess.CompletedProcess[str]]:
    """All at once: most of their time is the import of their packages."""
    env = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}

    def run(name: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, EXAMPLES / name, gateway.url + "/v1", "none", MODEL],
            capture_output=True, text=True, timeout=120, env=env,
        )  # fmt: skip

    with ThreadPoolExecutor(3) as pool:
        return dict(zip(SAYS, pool.map(run, SAYS), strict=True))


@pytest.mark.parametrize("name", SAYS)
def test_example(ran: dict[str, subprocess.CompletedProcess[str]], name: str) -> None:
    assert ran[name].returncode == 0, ran[name].stderr
    for text in SAYS[name]:
        assert text in ran[name].stdout


def test_none_is_forgotten() -> None:
    ours = {
        p.name
        for p in EXAMPLES.glob("*.py")
        if p.name.split("_")[0] in ("openai", "langchain", "litellm")
    }
    assert ours == set(SAYS)
