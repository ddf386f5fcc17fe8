"""TLS between a socket and the HTTP protocol.

The event loop's own TLS tells its protocol of a connection only after the handshake, so nothing
could bound or count those before it; it also closes without the alert that tells a client what was
wrong with its certificate. Here the HTTP protocol has the connection from its start, so that its
limits of time and number hold for the handshake too. All of the cryptography is OpenSSL's, through
:class:`ssl.SSLObject`.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import cached_property
from typing import Any, cast

from cryptography import x509

from gemma4_gateway.errors import ApiError
from gemma4_gateway.tls.certificates import Certificates

__all__ = ["TlsTransport"]

_RECORD = 16 * 1024
"""Plain bytes of one TLS record, at most."""
_LINGER_S = 1.0
"""Seconds for a client to read why it is refused. To close at once, with bytes of it unread, would
reset the connection, and the reason could be lost."""
_MOST_CONTROL = 64 * 1024
"""Bytes that the handshake layer may owe to a client that does not read."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """The protocol of the socket, and the transport of ``app``."""

    def __init__(self, app: asyncio.Protocol, certificates: Certificates) -> None:
        super().__init__()
        self._app = app
        self._certificates = certificates
        self._context = certificates.context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = self._context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._raw: asyncio.Transport
        self._begun = self._shaken = self._refused = self._closing = False
        self._owed: int | None = None

    # From the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)  # uvloop's is one without being derived
        self._app.connection_made(self)

    def data_received(self, data: bytes) -> None:
        if self._closing or self._refused:
            return
        if not self._begun:
            self._begun = True
            if data[:1].isalpha():  # a handshake starts with 0x16
                self._refuse_plain()
                return
        self._incoming.write(data)
        if self._shaken or self._shake():
            self._read()

    def eof_received(self) -> None:
        """End the connection, whole, as without TLS."""
        if self._shaken and not self._closing:
            self._app.eof_received()
        elif self._begun and not self._closing and not self._refused:
            self._failed("the client left in the handshake")

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        app, self._app = self._app, asyncio.Protocol()  # the two held each other
        app.connection_lost(exc)

    def pause_writing(self) -> None:
        self._owed = 0
        self._app.pause_writing()

    def resume_writing(self) -> None:
        self._owed = None
        self._app.resume_writing()

    # From the HTTP protocol.

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if self._closing or self._refused:
            return
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._ssl.write(rest) :]
        except ssl.SSLError as error:
            self._failed(_reason(error))
            self.abort()
            return
        self._flush()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._shaken and not self._refused:
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass  # our farewell is written; nobody waits for the client's
            self._flush()
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._raw.resume_reading()

    def is_reading(self) -> bool:
        return self._raw.is_reading()

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._app = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.Protocol:
        return self._app

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return self._ssl
        if name == "client_cert_name":
            return self._client_name
        return self._raw.get_extra_info(name, default)

    @cached_property
    def _client_name(self) -> str | None:
        """The subject of the client's certificate, which was verified; None without one."""
        found = self._ssl.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(found).subject.rfc4514_string() if found else None

    # Between the two.

    def _shake(self) -> bool:
        """Go on with the handshake; True when it is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            self._failed(_reason(error))
            self._flush()  # the alert, which says to the client what is wrong
            self._linger()
            return False
        self._shaken = True
        self._flush()
        return True

    def _read(self) -> None:
        try:
            while not self._closing:
                data = self._ssl.read(_RECORD)
                if not data:  # the client's farewell
                    self._app.eof_received()
                    self.close()
                    return
                self._app.data_received(data)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._failed(_reason(error))
            self._flush()
            self.close()
            return
        owed = self._flush()
        if self._owed is not None:
            self._owed += owed
            if self._owed > _MOST_CONTROL:
                self._failed("the client asks for new keys, and reads nothing")
                self.abort()

    def _flush(self) -> int:
        """Send what OpenSSL has written; the number of bytes."""
        pending = self._outgoing.pending
        if pending:
            self._raw.write(self._outgoing.read())
        return pending

    def _refuse_plain(self) -> None:
        body = ApiError(400, "this port speaks TLS; use https://", code="plain_http").json()
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n"
        )
        self._failed("plain HTTP on a port that speaks TLS", "plain_http")
        self._raw.write(head % len(body) + body)
        self._linger()

    def _linger(self) -> None:
        self._refused = True
        self._raw.write_eof()
        asyncio.get_running_loop().call_later(_LINGER_S, self.close)

    def _failed(self, error: str, reason: str = "tls_failed") -> None:
        peer = self._raw.get_extra_info("peername")
        self._certificates.failed(reason, str(peer[0]) if peer else "", error)


def _reason(error: ssl.SSLError) -> str:
    text = (error.reason or "").lower().replace("_", " ")
    detail = getattr(error, "verify_message", "")
    return f"{text}: {detail}" if detail else text or str(error)
