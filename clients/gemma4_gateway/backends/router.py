"""Send a call to a back end; to another one when the first provably never began it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from gemma4_client import (
    AsyncStream,
    Delta,
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    UnavailableError,
)
from gemma4_runtime.trace_context import TraceContext, trace_fields

from gemma4_gateway.backends.affinity import choose
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.backends.health import HealthChecker
from gemma4_gateway.errors import ApiError, unavailable
from gemma4_gateway.fair.cost import PromptSize
from gemma4_gateway.fair.limits import QueueLimits
from gemma4_gateway.fair.places import Places, Seat, Want
from gemma4_gateway.fair.tenant import Tenant
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

    __slots__ = ("_calls", "_chunks", "_closed", "_last", "_seat", "_stream", "first")

    def __init__(
        self,
        stream: AsyncStream,
        chunks: AsyncIterator[Delta],
        first: Delta,
        seat: Seat,
        calls: OpenCalls,
    ) -> None:
        self._stream = stream
        self._chunks = chunks
        self._seat = seat
        self._calls = calls
        self._closed = False
        self.first = self._last = first
        self.backend.streams += 1
        self._note(first)

    @property
    def backend(self) -> Backend:
        return self._seat.backend

    @property
    def waited(self) -> float:
        """Seconds that it waited for a place."""
        return self._seat.waited

    async def __aiter__(self) -> AsyncIterator[Delta]:
        try:
            async for delta in self._chunks:
                self._note(delta)
                yield delta
        except Gemma4Error as error:
            raise started_failure(error) from None

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.backend.streams -= 1
        self._calls.remove(self._stream)
        self._leave()

    def _note(self, delta: Delta) -> None:
        self._last = delta
        if delta.finish_reason:  # the slot is free, however slowly the client reads
            self._leave()

    def _leave(self) -> None:
        last = self._last
        self._seat.release(prompt=last.prompt_tokens, answer=last.completion_tokens)


class Router:
    """Over ``backends``. ``imbalance``: how many requests more than the least busy back end the
    preferred one may have. ``aliases`` are names of the model that any back end serves; another
    name is served by the back ends whose engine has it. ``queue``: what may wait for them."""

    def __init__(
        self,
        backends: Sequence[Backend],
        health: HealthChecker,
        metrics: Metrics,
        *,
        imbalance: int,
        aliases: frozenset[str] = frozenset(),
        queue: QueueLimits = QueueLimits(),  # noqa: B008 - frozen
    ) -> None:
        self.backends = backends
        self._health = health
        self._metrics = metrics
        self._imbalance = imbalance
        self._aliases = aliases
        self._salt = secrets.token_bytes(8)
        self._queue = queue
        self._places: dict[str, Places] = {}

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
        return choose(calm or ready, affinity, imbalance=self._imbalance, salt=self._salt)

    def places(self, model: str) -> Places:
        """Return the places of the back ends that serve ``model``, which must be a name that is
        served. All aliases share them."""
        name = "" if model in self._aliases else model
        if (found := self._places.get(name)) is None:
            found = self._places[name] = Places(
                partial(self._serving, model),
                self._queue,
                imbalance=self._imbalance,
                salt=self._salt,
                none=self.none_ready,
                waited=self._metrics.waited,
            )
        return found

    @property
    def all_places(self) -> list[Places]:
        """Of every model that was asked for."""
        return list(self._places.values())

    def look(self) -> None:
        """Give places of back ends that have changed to those who wait."""
        for places in self._places.values():
            places.look()

    def push_out(self, tenant: Tenant) -> bool:
        """Refuse somebody who waits, to have room for one of ``tenant``; False when that would not
        be fair."""
        return any(places.push_out(tenant) for places in self._places.values())

    def _serving(self, model: str) -> list[Backend]:
        return [b for b in self.backends if b.ready and self._serves(b, model)]

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
        tenant: Tenant,
        size: PromptSize,
        trace: TraceContext | None = None,
        whole_room: bool = False,
    ) -> Answering:
        """Return with the first chunk, once a back end has had a place for it. Each back end is
        tried at most once, unless it was only full, and the next one only when this one provably
        never began the request: it refused, or had no connection. A request that a back end may
        have died of is sent to no other.
        ``timeout`` is seconds for the whole answer, all attempts together.
        ``calls`` gets what was opened. ``tenant`` waits if anybody has to, for a prompt of
        ``size``. ``trace`` is what the request belongs to. ``whole_room``: it may have fewer
        tokens than it asks for.
        Raises :class:`~gemma4_gateway.errors.ApiError`."""
        now = asyncio.get_running_loop().time
        begun = now()
        want = Want(
            tenant,
            size,
            call.options.get("max_tokens"),
            affinity,
            begun,
            begun + timeout,
            count=partial(_count, call),
            whole_room=whole_room,
        )
        places = self.places(model)
        refusal: UnavailableError | None = None
        overload: UnavailableError | None = None
        while (seat := await self._seat(places, want, calls)) is not None:
            backend = seat.backend
            try:
                return await self._attempt(
                    seat, call, model, stream, request_id, want.deadline - now(), calls, trace
                )
            except UnavailableError as error:
                refusal = error
                if self._refused(backend, error):
                    overload = error
                tried = want.tried | {backend.address}
                if error.overloaded and self._queue.length and backend.full():
                    tried = want.tried
                want = replace(want, again=True, tried=tried)
            except Gemma4Error as error:
                if isinstance(error, ServerError):
                    self._health.check_now(backend)
                raise failure(error, names) from None
            except ValueError as error:
                raise unsendable(error) from None
        if refusal is None:
            raise self.none_ready()
        raise none_took(overload or refusal)

    async def _seat(self, places: Places, want: Want, calls: OpenCalls) -> Seat | None:
        try:
            return await places.take(want, calls)
        except ApiError as error:
            if error.status == 429 and error.code:
                self._metrics.limited.labels(error.code).inc()
            raise

    async def _attempt(
        self,
        seat: Seat,
        call: EngineCall,
        model: str,
        stream: bool,
        request_id: str,
        timeout: float,
        calls: OpenCalls,
        trace: TraceContext | None,
    ) -> Answering:
        opened = None
        try:
            opened = _open(seat.backend, call, stream, request_id, timeout, trace)
            name_span(opened, call, model)
            calls.add(opened)
            chunks = aiter(opened)
            first = await anext(chunks)
        except BaseException as error:
            if opened is not None:
                calls.remove(opened)
            if isinstance(error, UnavailableError | InvalidRequestError):
                seat.release()
            else:  # the engine may have read the prompt
                seat.abandon()
            raise
        seat.backend.succeeded()
        return Answering(opened, chunks, first, seat, calls)

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


async def _count(call: EngineCall, backend: Backend) -> int | None:
    """Return the tokens of a prompt; None where the back end does not say it. What is wrong with
    the prompt the engine says, in its turn."""
    try:
        return len(await backend.prompt_ids(call))
    except (Gemma4Error, ValueError):
        return None


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
