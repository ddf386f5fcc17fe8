"""What uvicorn lacks of HTTP/1: clients that offer another protocol, and those of HTTP/1.0."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

__all__ = ["Http10Cycle", "Parser"]


class Parser(httptools.HttpRequestParser):
    """Stays with HTTP/1.1 when a client offers another protocol, as Java's HTTP client does with
    ``Upgrade: h2c``, and RFC 9110 (section 7.8) allows.

    httptools ends such a request with its head and takes the body for the other protocol. So it is
    fed a second head, of which the connection hears nothing, with the length of the body. It would
    ignore one after ``Connection: Upgrade, close``, and begins anew."""

    def __init__(self, connection: Any) -> None:
        self._events = _Events(connection, self)
        self._begin()

    def _begin(self) -> None:
        super().__init__(self._events)
        # As uvicorn's own: what follows a request that shall be the last is ignored.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: bytes | bytearray | memoryview[int] | array[int]) -> None:
        rest = memoryview(data)
        while True:
            try:
                super().feed_data(rest)
                return
            except httptools.HttpParserUpgrade as offer:
                if not self._events.upgrading:
                    raise
                rest = rest[offer.args[0] :]
            if self._events.last:
                self._begin()
            self._events.again(super().feed_data)


class _Events:
    """What the connection hears of its parser."""

    def __init__(self, connection: Any, parser: Parser) -> None:
        self._connection = connection
        self._parser = parser
        self._hidden = False
        self.upgrading = False
        """Whether the head that has just ended offers another protocol."""
        self.last = False
        """Whether it asks for the end of the connection."""
        self.on_body = connection.on_body

    def again(self, feed: Callable[[bytes], None]) -> None:
        """Feed the head without the offer."""
        length = [
            b"%s: %s\r\n" % (name, value)
            for name, value in self._connection.headers
            if name in (b"content-length", b"transfer-encoding")
        ]
        if self.last:
            length.append(b"connection: close\r\n")
        self.upgrading, self._hidden = False, True
        try:
            feed(b"POST / HTTP/1.1\r\n%s\r\n" % b"".join(length))
        finally:
            self._hidden = False

    def on_message_begin(self) -> None:
        if not self._hidden:
            self._connection.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if not self._hidden:
            self._connection.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._hidden:
            self._connection.on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._hidden:
            parser = self._parser
            self.upgrading = parser.should_upgrade() and parser.get_method() != b"CONNECT"
            self.last = not parser.should_keep_alive()
            self._connection.on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.upgrading:
            self._connection.on_message_complete()


class Http10Cycle(RequestResponseCycle):
    """The answer to a client of HTTP/1.0, which knows no chunks: without a length it ends with the
    connection."""

    _endless = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name.lower() for name, _ in message.get("headers", ())}
            self._endless = b"content-length" not in names
            self.chunked_encoding = False if self._endless else None
        elif self._endless:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
