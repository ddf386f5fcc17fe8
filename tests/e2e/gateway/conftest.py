"""One gateway in front of the demo model, for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from e2e.gateway.running import RunningGateway
from e2e.served import Served


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
