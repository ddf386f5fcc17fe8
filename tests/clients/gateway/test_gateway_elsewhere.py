"""What a back end says that it has counts for the choice, without what this gateway sent there."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_client import InvalidRequestError
from gemma4_gateway.backends.backend import Backend


class Server:
    """Answers a look; ``in_flight`` requests run or wait there."""

    def __init__(self) -> None:
        self.in_flight = 0

    async def models_ready(self, *, timeout: float) -> bool:
        return True

    async def server_info(self, *, timeout: float) -> Any:
        return SimpleNamespace(in_flight=self.in_flight)

    def generate(self, *_: Any, **__: Any) -> Any:
        async def refused() -> None:
            raise InvalidRequestError("max_tokens: must be at least 1")

        return SimpleNamespace(result=refused)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[Backend, Server, list[float]]:
    now, server = [100.0], Server()
    backend = Backend("10.0.0.1:8001", now=lambda: now[0])

    async def renew(*, idle: bool) -> bool:
        return False

    link = SimpleNamespace(plain=server, client=server, renew=renew)
    monkeypatch.setattr(backend, "_link", link)
    return backend, server, now


def look(backend: Backend) -> None:
    assert asyncio.run(backend.check(timeout=1)) == ""


def test_the_requests_of_other_gateways_are_seen(
    watched: tuple[Backend, Server, list[float]],
) -> None:
    backend, server, now = watched
    server.in_flight = 7
    backend.outstanding = backend.answers = 3  # of the seven
    look(backend)
    assert (backend.elsewhere, backend.load) == (4, 7)
    backend.outstanding = backend.answers = 1
    assert backend.load == 5, "its own count changes at once"
    server.in_flight = 40
    now[0] += 1.9
    look(backend)
    assert backend.elsewhere == 4, "asked every two seconds"
    now[0] += 0.2
    look(backend)
    assert backend.elsewhere == 39


def test_no_server_has_less_than_nothing(watched: tuple[Backend, Server, list[float]]) -> None:
    """One of before 0.2 says 0; and what has just been sent is not counted there yet."""
    backend, _, _ = watched
    backend.outstanding = backend.answers = 5
    look(backend)
    assert (backend.elsewhere, backend.load) == (0, 5)
