"""HTTP over httpx, in an event loop; the blocking transport runs this in a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gemma4_client.address import Address
from gemma4_client.concurrency import timeouts
from gemma4_client.errors import (
    CancelledError,
    DeadlineExceededError,
    Gemma4Error,
    UnavailableError,
    from_http,
)
from gemma4_client.request import Request
from gemma4_client.results import Delta
from gemma4_client.transport.base import NEEDED, own_cancel
from gemma4_client.transport.http_wire import (
    EventReader,
    error_text,
    generate_body,
    infer_body,
    ranks,
    read_infer,
    read_json,
)
from gemma4_client.transport.proxies import proxy_note

__all__ = ["Deliver", "HttpCore", "Item", "need_httpx"]

Item = Delta | BaseException | None
"""A chunk, the error that ended the stream, or None at its end."""
Deliver = Callable[[Item], None]

_BY_PROXIES = (407, 502, 503, 504)
"""Statuses that a proxy gives for itself, or for a server that it does not reach."""
_CONNECT_S = 10.0
"""Seconds to connect."""


def need_httpx() -> Any:
    """Return the module. Raises :class:`ImportError` that says how to get it."""
    try:
        import httpx
    except ImportError as error:
        from gemma4_runtime.needs import install_extra

        raise ImportError(
            f"HTTP needs httpx: {install_extra('http')}, or use the gRPC port"
        ) from error
    return httpx


def _too_late(timeout: float) -> DeadlineExceededError:
    return DeadlineExceededError(f"no answer within {timeout:.3g} s")


class HttpCore:
    """One connection pool. Made and used in one event loop."""

    def __init__(self, address: Address, headers: Mapping[str, str] | None) -> None:
        self._httpx = httpx = need_httpx()
        self._proxy = proxy_note(address)
        # httpx lets ssl.SSLError through, which is an OSError, when the server refuses late.
        self._lost = (httpx.HTTPError, OSError)
        self._client = httpx.AsyncClient(
            base_url=address.http_url,
            headers=dict(headers or {}),
            verify=address.tls.ssl_context() if address.tls else False,
            # As many streams as the caller starts; the server says when it is enough.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=128),
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            mounts={"http://": None, "https://": None} if address.local else None,  # no proxy
        )

    def _explain(self, error: Exception) -> Gemma4Error:
        text = f"{self._client.base_url}: {error or type(error).__name__}{self._proxy}"
        if isinstance(error, self._httpx.ConnectError | self._httpx.ConnectTimeout):
            return UnavailableError(f"cannot connect to {text}", refused=True)
        return UnavailableError(f"the connection was lost: {text}")

    def _answered(self, status: int, content: bytes) -> Gemma4Error:
        """Return the error of an answer that is not 200."""
        text = error_text(content)
        return from_http(status, f"{text}{self._proxy}" if status in _BY_PROXIES else text)

    async def pump(self, request: Request, timeout: float | None, deliver: Deliver) -> None:
        """Send the request; deliver the chunks and how it ended. Cancel the task to cancel the
        request."""
        try:
            async with timeouts.timeout(timeout):
                if request.streamed:
                    await self._stream(request, timeout, deliver)
                else:
                    deliver(
                        read_json(await self._post("generate", request, timeout), ranks(request))
                    )
            deliver(None)
        except timeouts.TIMED_OUT as error:
            deliver(self._explain(error) if timeout is None else _too_late(timeout))
        except asyncio.CancelledError:
            deliver(CancelledError(own_cancel()))
            raise
        except self._lost as error:
            deliver(self._explain(error))
        except Exception as error:  # noqa: BLE001 - a reader waits for it
            deliver(error)

    async def _post(self, verb: str, request: Request, timeout: float | None) -> bytes:
        reply = await self._client.post(
            f"/v2/models/gemma4/{verb}",
            content=generate_body(request, timeout),
            headers=dict(request.headers or {}),
        )
        if reply.status_code != 200:
            raise self._answered(reply.status_code, reply.content)
        content: bytes = reply.content
        return content

    async def _stream(self, request: Request, timeout: float | None, deliver: Deliver) -> None:
        events = EventReader()
        async with self._client.stream(
            "POST",
            "/v2/models/gemma4/generate_stream",
            content=generate_body(request, timeout),
            headers=dict(request.headers or {}),
        ) as reply:
            if reply.status_code != 200:
                raise self._answered(reply.status_code, await reply.aread())
            async for data in reply.aiter_raw():
                for event in events.feed(data):
                    deliver(read_json(event, ranks(request)))
        if events.rest:
            # Triton 2.51 ends a stream that failed late with a bare JSON error.
            deliver(read_json(events.rest.removeprefix(b"data:"), ranks(request)))

    async def infer(
        self, model: str, inputs: Mapping[str, Any], timeout: float | None
    ) -> dict[str, bytes]:
        """See :class:`~gemma4_client._async.transport.AsyncTransport`."""
        body, headers = infer_body(inputs)
        try:
            async with timeouts.timeout(timeout):
                reply = await self._client.post(
                    f"/v2/models/{model}/infer", content=body, headers=headers
                )
        except timeouts.TIMED_OUT as error:
            raise (self._explain(error) if timeout is None else _too_late(timeout)) from None
        except self._lost as error:
            raise self._explain(error) from None
        if reply.status_code != 200:
            raise self._answered(reply.status_code, reply.content)
        return read_infer(reply.content, reply.headers.get("Inference-Header-Content-Length", ""))

    async def ready(self, timeout: float) -> bool:
        paths = ["/v2/health/ready", *(f"/v2/models/{name}/ready" for name in NEEDED)]
        try:
            async with timeouts.timeout(timeout):
                for path in paths:
                    if (await self._client.get(path)).status_code != 200:
                        return False
        except (*timeouts.TIMED_OUT, *self._lost):
            return False
        return True

    async def close(self) -> None:
        await self._client.aclose()
