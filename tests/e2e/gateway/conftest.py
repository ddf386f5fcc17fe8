"""One gateway in front of the demo model, for all tests."""

from __future__ import annotations

import pytest
from e2e.gateway.running import RunningGateway


@pytest.fixture(scope="session")
def gateway(server):
    running = RunningGateway(server.grpc)
    yield running
    assert running.stop() == 0, running.text[-3000:]
    assert "Traceback" not in running.text, running.text


@pytest.fixture(scope="session")
def http(gateway):
    with gateway.http() as client:
        yield client
