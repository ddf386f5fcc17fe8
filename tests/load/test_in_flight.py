"""Requests under way in an open loop, also when the load tool itself was held up."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

import numpy as np
import pytest
from gemma4_load.drive.arrivals import Rate
from gemma4_load.drive.level import Level
from gemma4_load.drive.run import LevelRun
from gemma4_load.targets.base import Seen
from gemma4_load.workloads.base import Ask, Reply, Workload
from gemma4_load.workloads.words import Words

STALL_S = 0.3
"""At 100 a second, 30 requests are due when it ends."""


class Hello(Workload):
    name: ClassVar[str] = "hello"

    def first(self, rng: np.random.Generator) -> Ask:
        return Ask("hello", [{"role": "user", "content": "Hi"}])


class Held:
    """Answers nobody before all who come have come; the first call holds the whole process up."""

    url = "held"

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self.now = self.most = 0

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(self._stall_s)
        self._stall_s = 0.0
        await asyncio.sleep(0.5)
        self.now -= 1
        return Reply(output_tokens=1, finish_reason="stop")

    async def ready(self) -> bool:
        return True

    async def words(self) -> Words:
        raise NotImplementedError

    async def describe(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None: ...


@pytest.mark.parametrize("stall_s", [0.0, STALL_S])
@pytest.mark.parametrize("limit", [1, 3])
def test_never_more_than_allowed(stall_s: float, limit: int) -> None:
    async def run() -> tuple[Held, str]:
        target = Held(stall_s)
        level = Level(rate=Rate(100, 100), arrival="constant", seconds=2, max_in_flight=limit)
        result = await LevelRun(target, Hello(), level, lambda _: None).run()
        return target, result.stopped

    target, stopped = asyncio.run(run())
    assert target.most == limit
    assert stopped.startswith(f"the server fell behind: {limit} requests in flight")
