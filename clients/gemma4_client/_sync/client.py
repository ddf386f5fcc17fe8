# Made by scripts/unasync.py from _async/client.py: edit that file instead.
"""The blocking client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import tenacity
from typing_extensions import Unpack

from gemma4_client._sync.stream import Found, Stream
from gemma4_client.address import Protocol, parse_address
from gemma4_client.breaker import CircuitBreaker
from gemma4_client.cache import Cache, Replay, cache_key, cacheable, repeatable
from gemma4_client.concurrency.threads import run_blocking, sleep
from gemma4_client.connection import Connection
from gemma4_client.errors import Gemma4Error
from gemma4_client.identity import Identity
from gemma4_client.mapping import Progress, run_all
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

__all__ = ["Client"]


class Client:
    """A connection to one server. Thread-safe: make one and share it.

    ``url`` is ``host:port`` of the gRPC service, or grpc://, grpcs://, http://, https:// and that;
    ``protocol`` ("grpc", "http") says what a bare ``host:port`` is. ``headers`` go with every
    request (gRPC metadata). ``retry`` None sends everything once; ``breaker`` None never stops
    asking. ``cache`` keeps deterministic answers on disk. ``tracer`` of OpenTelemetry makes a
    span of each request, which the server's spans belong to. Raises :class:`ValueError` for an
    address that is none, :class:`ImportError` when HTTP is asked for without its extra."""

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
        self._connection = Connection(address, headers)

    def chat(
        self,
        messages: Messages,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        timeout: float | None = None,
        request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> Stream:
        """Answer ``messages``: OpenAI's form, or the text of one user message; ``tools`` are in
        OpenAI's form too. ``timeout`` is in seconds, for all of it; when it is over, the server
        stops too. Raises :class:`ValueError`, which names the option at fault; what the server says
        comes when the stream is read."""
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
    ) -> Stream:
        """Continue a raw prompt that you rendered, to which BOS is added once, or its
        ``prompt_token_ids``, to which nothing is. Otherwise as :meth:`chat`."""
        return self._stream(
            text_request(
                text, options, prompt_token_ids=prompt_token_ids, timeout=timeout,
                request_id=request_id, headers=headers,
            )
        )  # fmt: skip

    def map(
        self,
        prompts: Iterable[Messages],
        *,
        concurrency: int = 16,
        progress: Progress | bool | None = None,
        errors: Literal["raise", "return"] = "raise",
        tools: Sequence[Mapping[str, Any]] | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[Options],
    ) -> list[Answer | Gemma4Error]:
        """Call :meth:`chat` for each of ``prompts``, at most ``concurrency`` at once; answers in
        the order of the prompts. ``errors`` "raise" ends everything at the first error; "return"
        puts it in the place of its answer. ``progress`` True draws a bar; a function is called with
        how many are done and how many there are (None when not known). ``timeout`` is for each."""
        options.setdefault("stream", False)

        def start(prompt: Messages) -> Stream:
            return self.chat(prompt, tools=tools, timeout=timeout, headers=headers, **options)

        return run_all(start, prompts, concurrency, progress, errors)

    def tokenize(
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
        """Return the token ids of a text as :meth:`generate` would send it, or with ``chat`` of
        messages as :meth:`chat` would, template included."""
        return self._tokens(
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

    def detokenize(self, ids: Sequence[int], *, timeout: float | None = 30.0) -> Tokens:
        """Return the text and bytes of token ids."""
        return self._tokens(detokenize_inputs(ids), timeout)

    def server_info(self, *, timeout: float | None = 30.0) -> ServerInfo:
        """Say which engine answers."""
        tokens = self._tokens(detokenize_inputs([]), timeout, reads_only=True)
        return tokens.server

    def ready(self, *, timeout: float = 5.0) -> bool:
        """Return True when the server takes requests: Triton and all models are ready, the
        server does not drain, and no enforced quality gate has closed it."""
        began = monotonic()
        if not self.models_ready(timeout=timeout):
            return False
        left = max(0.0, timeout - (monotonic() - began))
        transport = self._connection.transport
        try:
            answer = transport.infer(MODEL, detokenize_inputs([]), left)
            return not read_tokens(answer).server.refusal
        except Gemma4Error:
            return False

    def models_ready(self, *, timeout: float = 5.0) -> bool:
        """Return True when Triton calls itself and all models ready. They may refuse
        requests nevertheless: see :meth:`ready`, which asks for that too."""
        return self._connection.transport.ready(timeout)

    def close(self) -> None:
        """End the connection, and what runs on it."""
        self._connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tokens(
        self, inputs: Mapping[str, Any], timeout: float | None, *, reads_only: bool = False
    ) -> Tokens:
        def once() -> dict[str, bytes]:
            with self._guard.attempt():
                return self._connection.transport.infer(MODEL, inputs, timeout)

        self._guard.earn()
        deadline = None if timeout is None else monotonic() + timeout
        limits = self._guard.retrying(deadline, sleep, reads_only=reads_only)
        return read_tokens(tenacity.Retrying(**limits)(once))

    def _stream(self, request: Request) -> Stream:
        span = None
        if self._spans is not None:
            request, span = self._spans.start(request)
        return Stream(
            lambda left: self._connection.transport.start(request, left),
            self._guard,
            timeout=request.timeout,
            model=request.model,
            lookup=self._lookup(request)
            if self._cache is not None and cacheable(request)
            else None,
            span=span,
        )

    def _lookup(self, request: Request) -> Callable[[], Found]:
        """Return what the stream asks before its first attempt."""
        cache = self._cache
        assert cache is not None

        def lookup() -> Found:
            engine = self._identity.get()
            if engine is None:
                info = self.server_info()
                engine = self._identity.set(info.id, info.runtime)
            if not repeatable(request, self._identity.runtime):
                return None, None
            key = cache_key(request, engine)
            found = run_blocking(cache.get, key)

            def store(deltas: list[Delta]) -> None:
                run_blocking(cache.put, key, deltas)

            return (Replay(found), None) if found is not None else (None, store)

        return lookup
