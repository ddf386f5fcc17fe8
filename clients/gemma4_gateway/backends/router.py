"""Send a call to a back end; to another one when the first provably never began it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from gemma4_client import (
    AsyncStream,
    Delta,
    Gemma4Error,
    ServerError,
    UnavailableError,
)
from gemma4_runtime.trace_context import TraceContext, trace_fields

from gemma4_gateway.backends.affinity import choose
from gemma4_gateway.backends.backend import Backend, Lease
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.backends.health import HealthChecker
from gemma4_gateway.errors import ApiError, unavailable
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.plain_text import without_paths
from gemma4_gateway.spans import name_span
from gemma4_gateway.translate.failures import (
    failure,
    lost,
    none_took,
    started_failure,
    unsendable,
)
from gemma4_gateway.translate.request_plan import EngineCall

__all__ = ["Answering", "Router"]

T = TypeVar("T")

_PAUSE_S = 1.0
"""Seconds that a back end is avoided after a refusal, doubled while refusals go on."""
_OVERLOAD_PAUSE_S = 0.1
"""Seconds that a back end is avoided when it was only full."""


class Answering:
    """An answer that has begun: ``first`` is its first chunk, iterating gives those after it.
    ``close`` at the end, always: it stops the engine's work if there is any left."""

    __slots__ = ("_calls", "_chunks", "_lease", "_stream", "first")

    def __init__(
        self,
        stream: AsyncStream,
        chunks: AsyncIterator[Delta],
        first: Delta,
        lease: Lease,
        calls: OpenCalls,
    ) -> None:
        self._stream = stream
        self._chunks = chunks
        self._lease = lease
        self._calls = calls
        self.first = first

    @property
    def backend(self) -> Backend:
        return self._lease.backend

    async def __aiter__(self) -> AsyncIterator[Delta]:
        try:
            async for delta in self._chunks:
                yield delta
        except Gemma4Error as error:
            raise started_failure(error) from None

    def close(self) -> None:
        self._calls.remove(self._stream)
        self._lease.release()


class Router:
    """Over ``backends``. ``imbalance``: how many requests more than the least busy back end the
    preferred one may have. ``aliases`` are names of the model that any back end serves; another
    name is served by the back ends whose engine has it."""

    def __init__(
        self,
        backends: Sequence[Backend],
        health: HealthChecker,
        metrics: Metrics,
        *,
        imbalance: int,
        aliases: frozenset[str] = frozenset(),
    ) -> None:
        self.backends = backends
        self._health = health
        self._metrics = metrics
        self._imbalance = imbalance
        self._aliases = aliases

    def pick(
        self, affinity: bytes, *, model: str, tried: frozenset[str] = frozenset()
    ) -> Backend | None:
        """Return a ready back end that serves ``model`` and is not in ``tried``; None without
        one."""
        ready = [
            b
            for b in self.backends
            if b.ready and b.address not in tried and self._serves(b, model)
        ]
        if not ready:
            return None
        calm = [b for b in ready if not b.avoided]
        return choose(calm or ready, affinity, imbalance=self._imbalance)

    def _serves(self, backend: Backend, model: str) -> bool:
        return model in self._aliases or (backend.info is not None and backend.info.model == model)

    def any_ready(self, model: str) -> Backend:
        """503 when there is none."""
        backend = self.pick(b"", model=model)
        if backend is None:
            raise self.none_ready()
        return backend

    async def begin(
        self,
        call: EngineCall,
        *,
        model: str,
        stream: bool,
        affinity: bytes,
        request_id: str,
        timeout: float,
        names: dict[str, str],
        calls: OpenCalls,
        trace: TraceContext | None = None,
    ) -> Answering:
        """Return with the first chunk. Each back end is tried at most once, and the next one only
        when this one provably never began the request: it refused, or had no connection. A
        request that a back end may have died of is sent to no other.
        ``timeout`` is seconds for the whole answer, all attempts together.
        ``calls`` gets what was opened. ``trace`` is what the request belongs to.
        Raises :class:`~gemma4_gateway.errors.ApiError`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        tried: frozenset[str] = frozenset()
        refusal: UnavailableError | None = None
        overload: UnavailableError | None = None
        while (backend := self.pick(affinity, model=model, tried=tried)) is not None:
            tried |= {backend.address}
            try:
                return await self._attempt(
                    backend, call, model, stream, request_id, deadline - loop.time(), calls, trace
                )
            except UnavailableError as error:
                refusal = error
                if self._refused(backend, error):
                    overload = error
            except Gemma4Error as error:
                if isinstance(error, ServerError):
                    self._health.check_now(backend)
                raise failure(error, names) from None
            except ValueError as error:
                raise unsendable(error) from None
        if refusal is None:
            raise self.none_ready()
        raise none_took(overload or refusal)

    async def _attempt(
        self,
        backend: Backend,
        call: EngineCall,
        model: str,
        stream: bool,
        request_id: str,
        timeout: float,
        calls: OpenCalls,
        trace: TraceContext | None,
    ) -> Answering:
        lease = backend.lease()
        opened = None
        try:
            opened = _open(backend, call, stream, request_id, timeout, trace)
            name_span(opened, call, model)
            calls.add(opened)
            chunks = aiter(opened)
            first = await anext(chunks)
        except BaseException:
            if opened is not None:
                calls.remove(opened)
            lease.release()
            raise
        backend.succeeded()
        return Answering(opened, chunks, first, lease, calls)

    async def ask(self, model: str, question: Callable[[Backend], Awaitable[T]]) -> T:
        """Of what is not generated: tokens. By the same rule, from one back end to the next.
        Raises :class:`~gemma4_gateway.errors.ApiError`, and what ``question`` raises."""
        tried: frozenset[str] = frozenset()
        backend = self.any_ready(model)
        while True:
            tried |= {backend.address}
            lease = backend.lease()
            try:
                return await question(backend)
            except UnavailableError as error:
                self._refused(backend, error)
                other = self.pick(b"", model=model, tried=tried)
                if other is None:
                    text = without_paths(str(error))
                    raise unavailable(
                        f"no back end could answer: {text}", cause=error.code
                    ) from None
                backend = other
            finally:
                lease.release()

    def _refused(self, backend: Backend, error: UnavailableError) -> bool:
        """Say whether it was overload, which is no fault of the back end. Raises
        :class:`~gemma4_gateway.errors.ApiError` when no other one may have the request."""
        overloaded = error.overloaded
        never_begun = backend.never_begun(error)
        backend.failed(str(error), pause=_OVERLOAD_PAUSE_S if overloaded else _PAUSE_S)
        self._metrics.retries.labels(backend.address).inc()
        if error.process:
            self._health.eject(backend, str(error))
        elif not overloaded:
            self._health.check_now(backend)
        if not never_begun:
            raise lost(error)
        return overloaded

    def none_ready(self) -> ApiError:
        """503, with the reason of each back end."""
        if not self.backends:
            return unavailable("no back end is known: DNS has given no address", retry_after=2)
        reasons = "; ".join(f"{b.address}: {b.reason}" for b in self.backends if not b.ready)
        return unavailable(f"no back end is ready ({reasons})", retry_after=2)


def _open(
    backend: Backend,
    call: EngineCall,
    stream: bool,
    request_id: str,
    timeout: float,
    trace: TraceContext | None,
) -> AsyncStream:
    headers = trace_fields(trace)
    options = call.options | {"stream": stream}
    if call.messages is not None:
        return backend.client.chat(
            call.messages,
            tools=call.tools,
            timeout=timeout,
            request_id=request_id,
            headers=headers,
            **options,
        )
    return backend.client.generate(
        call.text,
        prompt_token_ids=call.token_ids,
        timeout=timeout,
        request_id=request_id,
        headers=headers,
        **options,
    )
