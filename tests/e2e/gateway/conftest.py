"""One gateway in front of the demo model, for all tests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from openai import OpenAI

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def gateway(server: Served) -> Iterator[RunningGateway]:
    running = RunningGateway(server.grpc)
    yield running
    assert running.stop() == 0, running.text[-3000:]
    assert "Traceback" not in running.text, running.text


@pytest.fixture(scope="session")
def named_gateway(server: Served) -> Iterator[RunningGateway]:
    """Started as the pages say, which all say the same."""
    found = {
        command
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for command in re.findall(r"^make gateway.*", page.read_text("utf-8"), re.MULTILINE)
    }
    arguments = {tuple(shlex.split(command, comments=True)) for command in found}
    ((_, _, options),) = arguments
    assert options.startswith("ARGS=")
    running = RunningGateway(
        server.grpc, names=(), args=tuple(shlex.split(options.removeprefix("ARGS=")))
    )
    yield running
    assert running.stop() == 0, running.text[-3000:]


@pytest.fixture(scope="session")
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


@pytest.fixture(scope="session")
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    """Tests take it as Any: their bodies are plain dictionaries, its overloads want its own."""
    with OpenAI(base_url=gateway.url + "/v1", api_key="any", max_retries=0) as made:
        yield made
