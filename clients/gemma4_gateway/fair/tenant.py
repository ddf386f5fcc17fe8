"""Whose a request is, and what share that one has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CLASS_WEIGHTS", "Priority", "Tenant"]

Priority = Literal["high", "normal", "low"]

CLASS_WEIGHTS: dict[Priority, float] = {"high": 16.0, "normal": 4.0, "low": 1.0}
"""Shares of the classes that wait at one time, so that none waits forever."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """``weight`` among the tenants of its class. ``queue_s``: seconds that its requests may wait,
    None: as long as the gateway lets any."""

    name: str
    weight: float = 1.0
    priority: Priority = "normal"
    queue_s: float | None = None
