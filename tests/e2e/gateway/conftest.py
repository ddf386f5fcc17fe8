"""One gateway in front of the demo model, for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.served import Served
from openai import OpenAI


@pytest.fixture(scope="session")
def gateway(server: Served) -> Iterator[RunningGateway]:
    running = RunningGateway(server.grpc)
    yield running
    assert running.stop() == 0, running.text[-3000:]
    assert "Traceback" not in running.text, running.text


@pytest.fixture(scope="session")
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


@pytest.fixture(scope="session")
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.url + "/v1", api_key="any", max_retries=0) as made:
        yield made
