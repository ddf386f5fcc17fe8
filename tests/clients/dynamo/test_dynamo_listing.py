"""Discovery as a worker tells it: what fails is said once and tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import gemma4_dynamo.listing
import pytest
from gemma4_dynamo.listing import Listing


class Discovery:
    """Dynamo's, which fails while ``broken`` says why."""

    def __init__(self) -> None:
        self.broken = ""
        self.told: list[str] = []
        self.hangs = False

    async def _tell(self, what: str) -> None:
        self.told.append(what)
        if self.hangs:
            await asyncio.Event().wait()
        if self.broken:
            raise Exception(self.broken)

    async def join(self) -> None:
        await self._tell("join")

    async def leave(self) -> None:
        await self._tell("leave")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def log(event: str, *, level: str = "info", **fields: Any) -> None:
        found.append((event, fields.get("why", "")))

    monkeypatch.setattr(gemma4_dynamo.listing, "log_event", log)
    return found


def test_it_tells_changes_only(events: list[tuple[str, str]]) -> None:
    async def run() -> None:
        discovery = Discovery()
        listing = Listing(discovery.join, discovery.leave)
        for wanted in (True, False, False, True, True):
            assert await listing.set(wanted)
        assert discovery.told == ["leave", "join"]

    asyncio.run(run())
    assert events == [("left_discovery", ""), ("joined_discovery", "")]


def test_what_fails_is_said_once_and_tried_again(events: list[tuple[str, str]]) -> None:
    async def run() -> None:
        discovery = Discovery()
        listing = Listing(discovery.join, discovery.leave)
        discovery.broken = "no lease\nat all"
        assert [await listing.set(False) for _ in range(3)] == [False] * 3
        discovery.broken = ""
        assert await listing.set(False)
        discovery.broken = "no lease\nat all"
        assert not await listing.set(True)
        assert discovery.told == ["leave"] * 4 + ["join"]

    asyncio.run(run())
    why = "no lease\\nat all"
    assert events == [
        ("discovery_failed", why), ("left_discovery", ""), ("discovery_failed", why),
    ]  # fmt: skip


def test_one_that_was_cancelled_may_have_happened(events: list[tuple[str, str]]) -> None:
    """A worker that is told to stop while it joins must leave all the same."""

    async def run() -> None:
        discovery = Discovery()
        listing = Listing(discovery.join, discovery.leave)
        assert await listing.set(False)
        discovery.hangs = True
        joining = asyncio.create_task(listing.set(True))
        await asyncio.sleep(0)
        joining.cancel()
        await asyncio.wait([joining])
        discovery.hangs = False
        assert await listing.set(False)
        assert discovery.told == ["leave", "join", "leave"]

    asyncio.run(run())
