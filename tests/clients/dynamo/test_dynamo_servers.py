"""Which servers a worker asks, and what its log says of the others."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import gemma4_dynamo.servers
import pytest
from gemma4_client import UnavailableError
from gemma4_dynamo.options import OptionsError
from gemma4_dynamo.servers import Servers

REFUSED = "--server b:1: serves the model other"


class FakePlain:
    """``model``: what it serves, "" while nobody answers."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.looks = 0

    async def ready(self, *, timeout: float) -> bool:
        return bool(self.model)

    async def server_info(self, *, timeout: float) -> Any:
        self.looks += 1
        if not self.model:
            raise UnavailableError("connection refused")
        return self.model


def accept(address: str, info: Any) -> None:
    if info == "other":
        raise OptionsError(REFUSED)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []

    def log(event: str, *, server: str, why: str = "", level: str = "info") -> None:
        found.append((event, server, why))

    monkeypatch.setattr(gemma4_dynamo.servers, "log_event", log)
    return found


def test_a_server_with_another_engine_is_not_asked(events: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        servers = Servers(["a:1", "b:1"], interval=1, accept=accept)
        first, second = FakePlain("m"), FakePlain("other")
        servers.all[0].plain, servers.all[1].plain = first, second  # type: ignore[assignment]
        for _ in range(3):
            for server in servers.all:
                await server.check()
            await servers.tell()
        assert [server.ready for server in servers.all] == [True, False]
        assert servers.pick() is servers.all[0]
        assert first.looks == 1, "one that is ready is not asked again for its engine"
        second.model = "m"
        assert await servers.all[1].check()
        await servers.tell()
        first.model = ""
        assert not await servers.all[0].check()
        await servers.tell()
        # It comes back with another engine: that is seen, although it was right before.
        first.model = "other"
        assert not await servers.all[0].check()

    asyncio.run(run())
    assert events == [
        ("server_not_ready", "b:1", REFUSED),
        ("server_ready", "b:1", ""),
        ("server_not_ready", "a:1", "connection refused"),
    ]


def test_a_change_that_could_not_be_told_is_told_again(events: list[tuple[str, str, str]]) -> None:
    async def run() -> None:
        servers = Servers(["a:1"], interval=0)
        servers.all[0].plain = FakePlain("m")  # type: ignore[assignment]
        told: list[bool] = []
        enough = asyncio.Event()

        async def on_change(ready: bool) -> bool:
            told.append(ready)
            if len(told) == 3:
                enough.set()
            return len(told) == 3

        watching = asyncio.create_task(servers.watch(on_change))
        await asyncio.wait_for(enough.wait(), 9)
        await asyncio.sleep(0.05)
        watching.cancel()
        assert told == [True] * 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("refusal", "why"),
    [("", "not all of its models are ready"), ("draining", "it refuses requests: draining")],
)
def test_a_server_that_answers_and_is_not_ready(
    events: list[tuple[str, str, str]], refusal: str, why: str
) -> None:
    class Closed(FakePlain):
        async def ready(self, *, timeout: float) -> bool:
            return False

        async def server_info(self, *, timeout: float) -> Any:
            return SimpleNamespace(refusal=refusal)

    async def run() -> None:
        servers = Servers(["a:1"], interval=1)
        servers.all[0].plain = Closed("m")  # type: ignore[assignment]
        await servers.all[0].check()
        await servers.tell()

    asyncio.run(run())
    assert events == [("server_not_ready", "a:1", why)]
