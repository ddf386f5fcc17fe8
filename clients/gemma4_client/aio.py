"""The asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Literal, Unpack

import tenacity

from gemma4_client.address import Address, Protocol, parse_address
from gemma4_client.async_stream import AsyncStream, Found
from gemma4_client.breaker import CircuitBreaker
from gemma4_client.cache import Cache, Replay, cache_key, cacheable
from gemma4_client.errors import Gemma4Error
from gemma4_client.identity import Identity
from gemma4_client.mapping import Progress, run_all_async
from gemma4_client.options import Options
from gemma4_client.request import Messages, Request, chat_request, text_request
from gemma4_client.results import Answer, Delta
from gemma4_client.retry import Guard, RetryPolicy
from gemma4_client.tls import TLS
from gemma4_client.tokenizer import (
    MODEL,
    ServerInfo,
    Tokens,
    detokenize_inputs,
    read_tokens,
    tokenize_inputs,
)
from gemma4_client.transport.base import AsyncTransport

__all__ = ["AsyncClient"]


def _connect(address: Address, headers: Mapping[str, str] | None) -> AsyncTransport:
    if address.protocol == "http":
        from gemma4_client.transport.http_async import AsyncHttpTransport

        return AsyncHttpTransport(address, headers)
    from gemma4_client.transport.grpc_async import AsyncGrpcTransport

    return AsyncGrpcTransport(address, headers)


class AsyncClient:
    """:class:`Client` for asyncio, with the same arguments. It connects when it is first used, and
    belongs to the event loop of that moment; one client serves any number of tasks."""

    def __init__(
        self,
        url: str = "127.0.0.1:8001",
        *,
        protocol: Protocol | None = None,
        headers: Mapping[str, str] | None = None,
        tls: TLS | None = None,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008 - frozen
        breaker: CircuitBreaker | Literal["default"] | None = "default",
        cache: Cache | None = None,
    ) -> None:
        self.url = url
        self._address = parse_address(url, protocol, tls)
        if self._address.protocol == "http":
            from gemma4_client.transport.http_core import need_httpx

            need_httpx()
        self._headers = headers
        self._cache = cache
        self._identity = Identity()
        self._guard = Guard(
            retry, CircuitBreaker() if breaker == "default" else breaker, self._identity.forget
        )
        self._connected: AsyncTransport | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @property
    def _transport(self) -> AsyncTransport:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._connected is None:
            self._loop = loop
            self._connected = _connect(self._address, self._headers)
        if self._loop is not loop:
            raise RuntimeError("this AsyncClient belongs to another event loop; make one in each")
        return self._connected

    def chat(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> AsyncStream:
        """Do as :meth:`Client.chat`; call it in the event loop, it is not awaited."""
        return self._stream(
            chat_request(
                messages, options, tools=tools, timeout=timeout, request_id=request_id,
                headers=headers,
            )
        )  # fmt: skip

    def generate(
        self,
        text: str,
        *,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> AsyncStream:
        """Do as :meth:`Client.generate`; not awaited."""
        return self._stream(
            text_request(text, options, timeout=timeout, request_id=request_id, headers=headers)
        )

    async def map(
        self,
        prompts: Iterable[Messages] | AsyncIterable[Messages],
        *,
        concurrency: int = 16,
        progress: Progress | bool | None = None,
        errors: Literal["raise", "return"] = "raise",
        tools: Sequence[Mapping[str, Any]] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> list[Answer | Gemma4Error]:
        """Do as :meth:`Client.map`; ``prompts`` may be an async iterable."""
        options.setdefault("stream", False)

        def start(prompt: Messages) -> AsyncStream:
            return self.chat(prompt, tools=tools, timeout=timeout, headers=headers, **options)

        return await run_all_async(start, prompts, concurrency, progress, errors)

    async def tokenize(
        self,
        prompt: Messages,
        *,
        chat: bool = False,
        tools: Sequence[Mapping[str, Any]] | None = None,
        enable_thinking: bool | None = None,
        add_bos: bool | None = None,
        timeout: float | None = 30.0,
    ) -> Tokens:
        """Do as :meth:`Client.tokenize`."""
        return await self._tokens(
            tokenize_inputs(
                prompt, chat=chat, tools=tools, enable_thinking=enable_thinking, add_bos=add_bos
            ),
            timeout,
        )

    async def detokenize(self, ids: Sequence[int], *, timeout: float | None = 30.0) -> Tokens:
        """Do as :meth:`Client.detokenize`."""
        return await self._tokens(detokenize_inputs(ids), timeout)

    async def server_info(self, *, timeout: float | None = 30.0) -> ServerInfo:
        """Do as :meth:`Client.server_info`."""
        return (await self._tokens(detokenize_inputs([]), timeout, reads_only=True)).server

    async def ready(self, *, timeout: float = 5.0) -> bool:
        """Return True when the server can answer now."""
        return await self._transport.ready(timeout)

    async def close(self) -> None:
        """End the connection, and what runs on it."""
        self._closed = True
        if self._connected is not None:
            await self._connected.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _tokens(
        self, inputs: Mapping[str, Any], timeout: float | None, *, reads_only: bool = False
    ) -> Tokens:
        async def once() -> dict[str, bytes]:
            with self._guard.attempt():
                return await self._transport.infer(MODEL, inputs, timeout)

        self._guard.earn()
        deadline = None if timeout is None else monotonic() + timeout
        retrying = tenacity.AsyncRetrying(
            **self._guard.retrying(deadline, reads_only=reads_only), sleep=asyncio.sleep
        )
        return read_tokens(await retrying(once))

    def _stream(self, request: Request) -> AsyncStream:
        return AsyncStream(
            lambda left: self._transport.start(request, left),
            self._guard,
            timeout=request.timeout,
            model=request.model,
            lookup=self._lookup(request)
            if self._cache is not None and cacheable(request)
            else None,
        )

    def _lookup(self, request: Request) -> Callable[[], Awaitable[Found]]:
        """Return what the stream asks before its first attempt. The disk is read in a thread."""
        cache = self._cache
        assert cache is not None

        async def lookup() -> Found:
            engine = self._identity.get() or self._identity.set((await self.server_info()).id)
            key = cache_key(request, engine)
            found = await asyncio.to_thread(cache.get, key)

            async def store(deltas: list[Delta]) -> None:
                await asyncio.to_thread(cache.put, key, deltas)

            return (Replay(found), None) if found is not None else (None, store)

        return lookup
