"""The asyncio client."""

# sync: """The blocking client."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import tenacity
from typing_extensions import Unpack

from gemma4_client._async.stream import AsyncStream, Found
from gemma4_client.address import Protocol, parse_address
from gemma4_client.breaker import CircuitBreaker
from gemma4_client.cache import Cache, Replay, cache_key, cacheable, repeatable
from gemma4_client.concurrency.tasks import run_blocking, sleep
from gemma4_client.connection import AsyncConnection
from gemma4_client.errors import Gemma4Error
from gemma4_client.identity import Identity
from gemma4_client.mapping import Progress, run_all_async
from gemma4_client.options import Options
from gemma4_client.request import Messages, Request, chat_request, text_request
from gemma4_client.results import Answer, Delta
from gemma4_client.retry import Guard, RetryPolicy
from gemma4_client.spans import CallSpans
from gemma4_client.tls import TLS
from gemma4_client.tokenizer import (
    MODEL,
    ServerInfo,
    Tokens,
    detokenize_inputs,
    read_tokens,
    tokenize_inputs,
)

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["AsyncClient"]


class AsyncClient:
    """:class:`Client` for asyncio, with the same arguments. It connects when it is first used, and
    belongs to the event loop of that moment; one client serves any number of tasks."""

    # sync: """A connection to one server. Thread-safe: make one and share it.
    # sync:
    # sync: ``url`` is ``host:port`` of the gRPC service, or grpc://, grpcs://, http://, https:// and that;
    # sync: ``protocol`` ("grpc", "http") says what a bare ``host:port`` is. ``headers`` go with every
    # sync: request (gRPC metadata). ``retry`` None sends everything once; ``breaker`` None never stops
    # sync: asking. ``cache`` keeps deterministic answers on disk. ``tracer`` of OpenTelemetry makes a
    # sync: span of each request, which the server's spans belong to. Raises :class:`ValueError` for an
    # sync: address that is none, :class:`ImportError` when HTTP is asked for without its extra."""

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
        tracer: Tracer | None = None,
    ) -> None:
        self.url = url
        self._cache = cache
        self._identity = Identity()
        self._guard = Guard(
            retry, CircuitBreaker() if breaker == "default" else breaker, self._identity.forget
        )
        address = parse_address(url, protocol, tls)
        self._spans = CallSpans(tracer, address) if tracer is not None else None
        self._connection = AsyncConnection(address, headers)

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
        # sync: """Answer ``messages``: OpenAI's form, or the text of one user message; ``tools`` are in
        # sync: OpenAI's form too. ``timeout`` is in seconds, for all of it; when it is over, the server
        # sync: stops too. Raises :class:`ValueError`, which names the option at fault; what the server says
        # sync: comes when the stream is read."""
        return self._stream(
            chat_request(
                messages, options, tools=tools, timeout=timeout, request_id=request_id,
                headers=headers,
            )
        )  # fmt: skip

    def generate(
        self,
        text: str | None = None,
        *,
        prompt_token_ids: Sequence[int] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> AsyncStream:
        """Do as :meth:`Client.generate`; not awaited."""
        # sync: """Continue a raw prompt that you rendered, to which BOS is added once, or its
        # sync: ``prompt_token_ids``, to which nothing is. Otherwise as :meth:`chat`."""
        return self._stream(
            text_request(
                text, options, prompt_token_ids=prompt_token_ids, timeout=timeout,
                request_id=request_id, headers=headers,
            )
        )  # fmt: skip

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
        # sync: """Call :meth:`chat` for each of ``prompts``, at most ``concurrency`` at once; answers in
        # sync: the order of the prompts. ``errors`` "raise" ends everything at the first error; "return"
        # sync: puts it in the place of its answer. ``progress`` True draws a bar; a function is called with
        # sync: how many are done and how many there are (None when not known). ``timeout`` is for each."""
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
        continue_final_message: bool | None = None,
        add_bos: bool | None = None,
        timeout: float | None = 30.0,
    ) -> Tokens:
        """Do as :meth:`Client.tokenize`."""
        # sync: """Return the token ids of a text as :meth:`generate` would send it, or with ``chat`` of
        # sync: messages as :meth:`chat` would, template included."""
        return await self._tokens(
            tokenize_inputs(
                prompt,
                chat=chat,
                tools=tools,
                enable_thinking=enable_thinking,
                continue_final_message=continue_final_message,
                add_bos=add_bos,
            ),
            timeout,
        )

    async def detokenize(self, ids: Sequence[int], *, timeout: float | None = 30.0) -> Tokens:
        """Do as :meth:`Client.detokenize`."""
        # sync: """Return the text and bytes of token ids."""
        return await self._tokens(detokenize_inputs(ids), timeout)

    async def server_info(self, *, timeout: float | None = 30.0) -> ServerInfo:
        """Do as :meth:`Client.server_info`."""
        # sync: """Say which engine answers."""
        tokens = await self._tokens(detokenize_inputs([]), timeout, reads_only=True)
        return tokens.server

    async def ready(self, *, timeout: float = 5.0) -> bool:
        """Do as :meth:`Client.ready`."""
        # sync: """Return True when the server takes requests: Triton and all models are ready, the
        # sync: server does not drain, and no enforced quality gate has closed it."""
        began = monotonic()
        if not await self.models_ready(timeout=timeout):
            return False
        left = max(0.0, timeout - (monotonic() - began))
        transport = self._connection.transport
        try:
            answer = await transport.infer(MODEL, detokenize_inputs([]), left)
            return not read_tokens(answer).server.refusal
        except Gemma4Error:
            return False

    async def models_ready(self, *, timeout: float = 5.0) -> bool:
        """Do as :meth:`Client.models_ready`."""
        # sync: """Return True when Triton calls itself and all models ready. They may refuse
        # sync: requests nevertheless: see :meth:`ready`, which asks for that too."""
        return await self._connection.transport.ready(timeout)

    async def close(self) -> None:
        """End the connection, and what runs on it."""
        await self._connection.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _tokens(
        self, inputs: Mapping[str, Any], timeout: float | None, *, reads_only: bool = False
    ) -> Tokens:
        async def once() -> dict[str, bytes]:
            with self._guard.attempt():
                return await self._connection.transport.infer(MODEL, inputs, timeout)

        self._guard.earn()
        deadline = None if timeout is None else monotonic() + timeout
        limits = self._guard.retrying(deadline, sleep, reads_only=reads_only)
        return read_tokens(await tenacity.AsyncRetrying(**limits)(once))

    def _stream(self, request: Request) -> AsyncStream:
        span = None
        if self._spans is not None:
            request, span = self._spans.start(request)
        return AsyncStream(
            lambda left: self._connection.transport.start(request, left),
            self._guard,
            timeout=request.timeout,
            model=request.model,
            lookup=self._lookup(request)
            if self._cache is not None and cacheable(request)
            else None,
            span=span,
        )

    def _lookup(self, request: Request) -> Callable[[], Awaitable[Found]]:
        """Return what the stream asks before its first attempt."""
        cache = self._cache
        assert cache is not None

        async def lookup() -> Found:
            engine = self._identity.get()
            if engine is None:
                info = await self.server_info()
                engine = self._identity.set(info.id, info.runtime)
            if not repeatable(request, self._identity.runtime):
                return None, None
            key = cache_key(request, engine)
            found = await run_blocking(cache.get, key)

            async def store(deltas: list[Delta]) -> None:
                await run_blocking(cache.put, key, deltas)

            return (Replay(found), None) if found is not None else (None, store)

        return lookup
