"""What a transport does. Every implementation raises :mod:`gemma4_client.errors` only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from gemma4_client.request import Request
from gemma4_client.results import Delta

__all__ = ["AsyncCall", "AsyncTransport"]


class AsyncCall(Protocol):
    """One request under way. Iterating gives its chunks as they come."""

    def __aiter__(self) -> AsyncIterator[Delta]: ...

    def cancel(self) -> None:
        """End it on both sides; safe after the end, too. A reader gets CancelledError."""
        # sync: """End it on both sides; safe from any thread, and after the end. A reader gets
        # sync: CancelledError."""


class AsyncTransport(Protocol):
    """A connection to one server, in one event loop. ``timeout`` is in seconds."""

    # sync: """A connection to one server. Thread-safe. ``timeout`` is in seconds."""

    def start(self, request: Request, timeout: float | None) -> AsyncCall:
        """Send; does not wait for the answer."""

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        """One plain call: raw output tensors by name. ``inputs`` as those of
        :func:`gemma4_client.wire.build_infer`."""

    async def ready(self, timeout: float) -> bool:
        """Whether Triton calls itself and each of
        :data:`gemma4_client.transport.base.NEEDED` ready."""

    async def close(self) -> None: ...
