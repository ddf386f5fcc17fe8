# Made by scripts/unasync.py from _async/transport.py: edit that file instead.
"""What a transport does. Every implementation raises :mod:`gemma4_client.errors` only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from gemma4_client.request import Request
from gemma4_client.results import Delta

__all__ = ["Call", "Transport"]


class Call(Protocol):
    """One request under way. Iterating gives its chunks as they come."""

    def __iter__(self) -> Iterator[Delta]: ...

    def cancel(self) -> None:
        """End it on both sides; safe from any thread, and after the end. A reader gets
        CancelledError."""


class Transport(Protocol):
    """A connection to one server. Thread-safe. ``timeout`` is in seconds."""

    def start(self, request: Request, timeout: float | None) -> Call:
        """Send; does not wait for the answer."""

    def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        """One plain call: raw output tensors by name. ``inputs`` as those of
        :func:`gemma4_client.wire.build_infer`."""

    def ready(self, timeout: float) -> bool:
        """Whether Triton calls itself and each of
        :data:`gemma4_client.transport.base.NEEDED` ready."""

    def close(self) -> None: ...
