"""What is known of one HTTP request, for the log and the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gemma4_runtime.trace_context import TraceContext
from starlette.types import Scope

from gemma4_gateway.errors import ApiError
from gemma4_gateway.keys import ANONYMOUS, KeyEntry

__all__ = ["LEFT", "Record", "record_of"]

LEFT = 499
"""Status of a request whose client left before it was answered, as nginx has it."""

_SCOPE_KEY = "gemma4_gateway.record"
_ROUTES = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/messages": "messages",
    "/v1/messages/count_tokens": "count_tokens",
    "/v1/responses/input_tokens": "input_tokens",
    "/v1/responses/compact": "compact",
    "/v1/models": "models",
    "/tokenize": "tokenize",
    "/detokenize": "detokenize",
    "/health/live": "health",
    "/health/ready": "health",
    "/metrics": "metrics",
}
_POSTS = {
    "chat",
    "completions",
    "responses",
    "input_tokens",
    "compact",
    "messages",
    "count_tokens",
    "tokenize",
    "detokenize",
}
_VARYING = {"models": "/v1/models/{model}", "stored_responses": "/v1/responses/{response_id}"}
_ANTHROPIC = "/v1/messages"


@dataclass(slots=True)
class Record:
    """Times are seconds of :func:`time.perf_counter`. ``status`` :data:`LEFT`: the client left.
    ``queued`` are seconds that it waited for a place of a back end.
    ``trace`` is what the calls of back ends belong to; ``span_id`` is "" where no span of this
    request is recorded."""

    request_id: str
    method: str
    path: str
    key: KeyEntry = ANONYMOUS
    started: float = field(default_factory=time.perf_counter)
    first_token: float | None = None
    status: int = 0
    model: str = ""
    streamed: bool = False
    backends: list[str] = field(default_factory=list)
    queued: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str = ""
    error: str = ""
    code: str = ""
    body_bytes: int = 0
    trace: TraceContext | None = None
    span_id: str = ""

    def failed(self, error: ApiError) -> None:
        """Note the error that ended the request. ``code`` is that of the back end's error, where
        one was the cause."""
        self.error, self.code = error.message, error.cause or error.code or ""

    @property
    def anthropic(self) -> bool:
        """Whether the path is one of Anthropic's API, whose errors have another form."""
        return self.path == _ANTHROPIC or self.path.startswith(f"{_ANTHROPIC}/")

    @property
    def takes_body(self) -> bool:
        return self.route in _POSTS

    @property
    def route(self) -> str:
        """For the metrics: what was asked for, whatever came of it. Few values, so "other" for
        every path that does not exist."""
        if self.path.startswith("/v1/models/"):
            return "models"
        if self.path.startswith("/v1/responses/") and self.path not in _ROUTES:
            return "stored_responses"
        return _ROUTES.get(self.path, "other")

    @property
    def route_path(self) -> str:
        """Path of the route, with names for its parts that vary; "" for one that does not exist."""
        if self.path in _ROUTES:
            return self.path
        return _VARYING.get(self.route, "")

    def put_into(self, scope: Scope) -> None:
        scope[_SCOPE_KEY] = self


def record_of(scope: Scope) -> Record:
    """Return the record that :mod:`gemma4_gateway.middleware` put there."""
    record: Record = scope[_SCOPE_KEY]
    return record
