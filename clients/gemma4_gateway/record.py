"""What is known of one HTTP request, for the log and the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from starlette.types import Scope

from gemma4_gateway.keys import ANONYMOUS, KeyEntry

__all__ = ["Record", "record_of"]

_SCOPE_KEY = "gemma4_gateway.record"


@dataclass(slots=True)
class Record:
    """Times are seconds of :func:`time.perf_counter`. ``status`` 499: the client left."""

    request_id: str
    method: str
    path: str
    key: KeyEntry = ANONYMOUS
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    status: int = 0
    route: str = "other"
    model: str = ""
    streamed: bool = False
    backends: list[str] = field(default_factory=list)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str = ""
    error: str = ""

    def put_into(self, scope: Scope) -> None:
        scope[_SCOPE_KEY] = self


def record_of(scope: Scope) -> Record:
    """The record that the door put there."""
    record: Record = scope[_SCOPE_KEY]
    return record
