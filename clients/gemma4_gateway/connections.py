"""The HTTP protocol of uvicorn, with bounds on what comes before a request."""

from __future__ import annotations

import asyncio
import resource
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gemma4_gateway.answers.anthropic_errors import error_json
from gemma4_gateway.errors import ApiError
from gemma4_gateway.http1 import Http10Cycle, Parser
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.record import Record
from gemma4_gateway.settings import SettingsError

if TYPE_CHECKING:
    from gemma4_gateway.tls.certificates import Certificates

__all__ = ["HEAD_S", "BoundedHttp", "Connections", "openable", "protocol_of"]

HEAD_S = 10.0
"""Seconds that the head of a request has to arrive."""
_REST_S = 5.0
"""For the rest of a body that nobody reads any more, so that the client can read the answer."""
_UNTOLD_S = 1.0
"""For the next request of a client that has not been told that its connection ends."""
_MOST_HEAD_BYTES = 64 * 1024
"""Bytes of the head of a request, at most."""
_MOST_HEADERS = 200
"""Headers of a request, at most."""
_RESERVED_FILES = 64
"""For back ends, the log and what the interpreter opens."""
_WANTED_FILES = 65_536
"""Open files to ask for, one for each connection."""


def openable() -> int:
    """Return as many as this process may have files, after asking for more. Raises
    :class:`~gemma4_gateway.settings.SettingsError` when that is next to none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    most = (_WANTED_FILES if soft == resource.RLIM_INFINITY else soft) - _RESERVED_FILES
    if most < _RESERVED_FILES:
        raise SettingsError(f"only {soft} files may be open; `ulimit -n 4096` or more is needed")
    return most


@dataclass(eq=False)
class Connections:
    """All of one gateway. At most ``most``; then the one that has waited longest for a request
    makes way for a new one. A head has ``head_s`` seconds from its first byte, or from the start
    of the connection. While ``lifecycle`` drains, each ends with an answer that says so: a client
    that kept it could send its next request just when the gateway ends, and would not know whether
    that had begun. Where the head of the answer had gone out before, the client may send its next
    request at once, which is refused; without one the connection is closed after a moment."""

    metrics: Metrics
    most: int
    lifecycle: Lifecycle
    head_s: float = HEAD_S
    idle: dict[BoundedHttp, None] = field(default_factory=dict)
    """Those without a request, the oldest first."""
    count: int = 0


class BoundedHttp(HttpToolsProtocol):
    """A head that is too large gets 431, one that is too slow is cut off, and so is a body that
    goes on long after its answer."""

    shared: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = Parser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True
        self._whole = True
        self._ended = False
        self._refusal = ApiError(400, "the request is not HTTP/1.1", code="invalid_http")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        shared = self.shared
        shared.count += 1
        shared.idle[self] = None
        if shared.count > shared.most:
            oldest = next(iter(shared.idle))
            oldest._cut("evicted")
        self._arm(shared.head_s, "head_timeout")

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.count -= 1
        self.shared.idle.pop(self, None)
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._in_head and self._timer is None:
            self._arm(self.shared.head_s, "head_timeout")
        self._ended = False
        super().data_received(data)
        if self._in_head and not self._ended and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._refusal = _too_large()
                self.send_400_response("")

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MOST_HEAD_BYTES:
            self._refuse_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MOST_HEAD_BYTES or len(self.headers) > _MOST_HEADERS:
            self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._whole = False

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._disarm()
        self.shared.idle.pop(self, None)
        if self.scheme == "https":  # as ASGI's extension for TLS has it
            name = self.transport.get_extra_info("client_cert_name")
            self.scope["extensions"] = {"tls": {"client_cert_name": name}}
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":  # its task has not begun
            self.cycle.__class__ = Http10Cycle

    def on_message_complete(self) -> None:
        self._in_head = self._whole = self._ended = True
        super().on_message_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if not self._whole:
            self._arm(_REST_S, "body_after_answer")
        elif self.cycle.response_complete:  # and no other request has come meanwhile
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Refuse whatever the parser did not take; in the form of every other error of the path, as
        far as that is known."""
        error = self._refusal
        self.shared.metrics.connections_cut.labels(error.code).inc()
        path = bytes(getattr(self, "url", b"")).partition(b"?")[0].decode("latin-1")
        body = error_json(error, Record(f"req_{uuid.uuid4().hex}", "", path))
        head = (
            b"HTTP/1.1 %d \r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n"
        )
        self.transport.write(head % (error.status, len(body)) + body)
        self.transport.close()

    def _refuse_head(self) -> None:
        self._refusal = _too_large()
        raise ValueError("the head is too large")  # ends the parser

    def _wait(self) -> None:
        """Wait for the next request."""
        self._disarm()
        self.shared.idle[self] = None
        if self.shared.lifecycle.draining:
            self._timer = self.loop.call_later(_UNTOLD_S, self.transport.close)

    def _arm(self, seconds: float, reason: str) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._cut, reason)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self, reason: str) -> None:
        self._disarm()
        self.shared.idle.pop(self, None)
        if not self.transport.is_closing():
            self.shared.metrics.connections_cut.labels(reason).inc()
            self.transport.close()


def protocol_of(
    shared: Connections, certificates: Certificates | None = None
) -> type[asyncio.Protocol]:
    """Return what uvicorn makes the protocol of each connection with."""
    http = type("GatewayHttp", (BoundedHttp,), {"shared": shared})
    if certificates is None:
        return http
    from gemma4_gateway.tls.transport import TlsTransport

    def over_tls(**options: Any) -> asyncio.Protocol:
        return TlsTransport(http(**options), certificates)

    return cast(type[asyncio.Protocol], over_tls)  # uvicorn only ever calls it


def _too_large() -> ApiError:
    return ApiError(
        431,
        f"the head of the request is too large: at most {_MOST_HEAD_BYTES} bytes and "
        f"{_MOST_HEADERS} headers",
        code="head_too_large",
    )
