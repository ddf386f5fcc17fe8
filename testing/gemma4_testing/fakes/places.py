"""Places of back ends that nobody serves, and those who ask for one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.errors import unavailable
from gemma4_gateway.fair.cost import PromptSize
from gemma4_gateway.fair.limits import QueueLimits
from gemma4_gateway.fair.places import Places, Seat, Want
from gemma4_gateway.fair.tenant import Tenant

__all__ = ["Room", "backend"]

ANYBODY = Tenant("a")


def backend(port: int = 1, *, slots: int = 1, kv_tokens: int = 0) -> Backend:
    """One that is ready and lets no request wait; its clock is the loop's."""
    made = Backend(f"127.0.0.1:{port}", lambda: asyncio.get_running_loop().time())
    info: Any = SimpleNamespace(
        model="m",
        slots=slots,
        max_queued=0,
        kv_tokens=kv_tokens,
        max_total_tokens=10_000,
        max_prompt_tokens=9_000,
    )
    made.info = info
    made.mark(ready=True)
    return made


class Room:
    """Places of ``backends`` and who asked for one."""

    def __init__(self, *backends: Backend, **limits: Any) -> None:
        self.backends = list(backends)
        self.waits: list[tuple[str, float]] = []
        self.places = Places(
            lambda: [b for b in self.backends if b.ready],
            QueueLimits(**limits),
            imbalance=0,
            none=lambda: unavailable("none"),
            waited=lambda name, seconds: self.waits.append((name, seconds)),
        )
        self.order: list[str] = []

    def want(self, tenant: Tenant = ANYBODY, *, tokens: int = 100, **more: Any) -> Want:
        now = asyncio.get_running_loop().time()
        wanted: dict[str, Any] = {"most": 1, "deadline": now + 60} | more
        return Want(tenant, PromptSize(0, tokens), affinity=b"12345678", since=now, **wanted)

    def ask(
        self, tenant: Tenant = ANYBODY, calls: OpenCalls | None = None, **more: Any
    ) -> asyncio.Task[Seat]:
        """Ask in a task, which notes when it gets its place."""

        async def take() -> Seat:
            seat = await self.places.take(self.want(tenant, **more), calls or OpenCalls())
            assert seat is not None
            self.order.append(tenant.name)
            return seat

        return asyncio.create_task(take())
