"""The parts of one gateway, put together."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gemma4_runtime.needs import install_extra
from gemma4_runtime.tracing.pipeline import open_pipeline
from starlette.requests import Request

from gemma4_gateway.access_log import Log
from gemma4_gateway.answers.sse import error_event
from gemma4_gateway.answers.work import Work
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.discovery import Discovery
from gemma4_gateway.backends.health import HealthChecker
from gemma4_gateway.backends.names import parse_name
from gemma4_gateway.backends.router import Router
from gemma4_gateway.body.off_loop import OffLoop
from gemma4_gateway.body.uploads import Uploads
from gemma4_gateway.errors import ApiError, invalid, not_found
from gemma4_gateway.keys import KeyEntry, load_keys
from gemma4_gateway.lifecycle import Lifecycle
from gemma4_gateway.limits import Gate
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.record import record_of
from gemma4_gateway.reply import EngineReply, Out
from gemma4_gateway.request_timeout import allowed_seconds
from gemma4_gateway.settings import Settings, SettingsError
from gemma4_gateway.spans import ServerSpans
from gemma4_gateway.translate.request_plan import Plan

if TYPE_CHECKING:
    from gemma4_gateway.shared.redis_limits import RedisLimits
    from gemma4_gateway.store.responses import ResponseStore
    from gemma4_gateway.tls.certificates import Certificates
    from gemma4_gateway.workers.member import Member

__all__ = ["Gateway"]

T = TypeVar("T")

_SERVICE = "gemma4-gateway"
"""Name of this service in traces, where the environment gives none."""


class Gateway:
    """``start`` and ``stop`` in the event loop that it serves in. Raises
    :class:`~gemma4_gateway.settings.SettingsError` for a bad file of keys or of TLS.
    ``member``: which of several workers this one is; None: it serves alone."""

    def __init__(self, settings: Settings, log: Log, member: Member | None = None) -> None:
        self.settings = settings
        self.log = log
        self.member = member
        file = settings.keys.file
        self._keys_changed = file.stat().st_mtime_ns if file and file.exists() else 0
        self.ring = load_keys(settings.keys)
        self.metrics = Metrics(member.metrics if member is not None else None)
        self.certificates = self._certificates()
        self.store = self._store()
        self.gate = self._gate()
        self.shared = self._shared_limits()
        self.uploads = Uploads(settings.limits.max_body, workers=settings.workers)
        self.off_loop = OffLoop()
        self.lifecycle = Lifecycle()
        self.backends: list[Backend] = []
        self.pipeline = open_pipeline(_SERVICE, log=log.event)
        self.spans = ServerSpans(self.pipeline) if self.pipeline is not None else None

    async def start(self) -> None:
        """Find the back ends, connect, and look at each once."""
        settings = self.settings
        self.off_loop.start()
        names = {target: parse_name(target) for target in settings.backends}
        tracer = self.pipeline.tracer if self.pipeline is not None else None
        make = partial(Backend, tls=settings.backend_tls, tracer=tracer)
        self.backends = [make(target) for target, name in names.items() if name is None]
        self.health = HealthChecker(
            self.backends,
            interval=settings.health_interval,
            on_change=self._changed,
            on_fault=self._check_failed,
        )
        self.discovery = Discovery(
            [name for name in names.values() if name is not None],
            self.backends,
            self.health,
            interval=settings.dns_interval,
            on_event=self.log.event,
            on_removed=self.metrics.forget,
            on_fault=self._fault,
            make=make,
        )
        self.router = Router(
            self.backends,
            self.health,
            self.metrics,
            imbalance=settings.imbalance,
            aliases=frozenset(settings.model_names),
            queue=settings.queue,
        )
        if self.shared is not None:
            await self.shared.start()
        await self.discovery.start()
        await self.health.first_round()
        for backend in self.backends:
            if not backend.ready:
                self._changed(backend)
        self.health.start()

    async def stop(self) -> None:
        await self.discovery.stop()
        await self.health.stop()
        if self.shared is not None:
            await self.shared.stop()
        self.off_loop.close()
        if self.store is not None:
            await asyncio.to_thread(self.store.close)
        await asyncio.gather(*(backend.close() for backend in self.backends))
        if self.pipeline is not None:
            await asyncio.to_thread(self.pipeline.close)

    def reload_keys(self) -> None:
        """Read the file of keys again when it has changed. A file that is wrong changes nothing."""
        file = self.settings.keys.file
        if file is None:
            return
        changed = file.stat().st_mtime_ns if file.exists() else 0
        if changed == self._keys_changed:
            return
        self._keys_changed = changed
        try:
            self.ring.replace(load_keys(self.settings.keys))
        except SettingsError as error:
            self.log.event("keys_kept", level="error", error=str(error))
        else:
            self.log.event("keys_read", keys=len(self.ring))

    def reload_files(self) -> None:
        """Read the files of keys and of TLS again when they have changed."""
        self.reload_keys()
        if self.certificates is not None:
            self.certificates.reload()

    def _gate(self) -> Gate:
        limits, member = self.settings.limits, self.member
        if member is None:
            return Gate(limits, make_room=self._make_room)
        from gemma4_gateway.workers.shared_gate import SharedGate

        return SharedGate(limits, member.counts, member.number, make_room=self._make_room)

    def _certificates(self) -> Certificates | None:
        if self.settings.tls is None:
            return None
        # Its libraries take 50 ms to import, which those without TLS need not wait for.
        from gemma4_gateway.tls.certificates import Certificates

        return Certificates(self.settings.tls, self.metrics, self.log)

    def _shared_limits(self) -> RedisLimits | None:
        url = self.settings.limits_redis
        if url is None:
            return None
        try:
            from gemma4_gateway.shared.redis_limits import RedisLimits
        except ImportError as error:
            if error.name != "redis":
                raise
            raise SettingsError(
                f"limits in Redis need its client, which is missing; {install_extra('redis')}"
            ) from None
        shared = self.metrics.with_shared_limits()
        return RedisLimits(url, self.settings.limits, shared, self.log)

    def _store(self) -> ResponseStore | None:
        if self.settings.store is None:
            return None
        # SQLite takes 10 ms to import, which those without a store need not wait for.
        from gemma4_gateway.store.responses import ResponseStore

        return ResponseStore(self.settings.store, failed=self._not_stored)

    def _not_stored(self, reason: str) -> None:
        self.metrics.not_stored.inc()
        self.log.event("response_not_stored", level="error", reason=reason)

    @property
    def ready(self) -> bool:
        return not self.lifecycle.draining and any(b.ready for b in self.backends)

    def model_names(self) -> list[str]:
        """Return the names under which the model is served; 503 while they are unknown."""
        if self.settings.model_names:
            return list(self.settings.model_names)
        names = {b.info.model: None for b in self.backends if b.info is not None}
        if not names:
            raise self.router.none_ready()
        return list(names)

    def check_model(self, name: str | None) -> str:
        """Return the name itself, for None that of the one model that is served. 404 for another
        name, 400 for None where the back ends have several models."""
        names = self.model_names()
        if name is None:
            if len(names) > 1 and not self.settings.model_names:
                raise invalid("model", f"there are several; name one of {', '.join(names)}")
            return names[0]
        if name not in names:
            raise not_found(
                f"model: there is no {name!r}; there is {', '.join(names)}",
                param="model",
                code="model_not_found",
            )
        return name

    async def beside(self, request: Request, work: Callable[[], T]) -> T:
        """Do ``work`` on the body of a request, beside the event loop if it is large."""
        return await self.off_loop.run(record_of(request.scope).body_bytes, work)

    def work(self, request: Request, plan: Plan, *, prefix: str) -> Work:
        """Make the work of one request. Raises 400 for a time limit that is none."""
        return Work(
            plan,
            self.router,
            record_of(request.scope),
            timeout=allowed_seconds(request.headers, self.settings.limits.timeout),
            prefix=prefix,
        )

    def reply(
        self,
        work: Work,
        write: Callable[[Out], Awaitable[None]],
        *,
        on_error: Callable[[ApiError], bytes] = error_event,
    ) -> EngineReply:
        """Make the response that runs ``write``, which does the work."""
        return EngineReply(
            write,
            stop=work.calls.cancel,
            lifecycle=self.lifecycle,
            error_event=on_error,
            keep_alive=self.settings.sse_keep_alive or None if work.plan.stream else None,
        )

    def refresh_metrics(self) -> None:
        """Set gauges that are read off when somebody asks."""
        for backend in self.backends:
            self.metrics.ready.labels(backend.address).set(backend.ready)
            self.metrics.outstanding.labels(backend.address).set(backend.outstanding)
            self.metrics.tell(self.metrics.ejections, backend.ejections, backend.address)
        for followed in self.discovery.names:
            name = str(followed.name)
            self.metrics.dns_addresses.labels(name).set(len(followed.addresses))
            self.metrics.tell(self.metrics.dns_failures, followed.failures, name)
        self.metrics.set_queued(
            (lane.tenant.name, len(lane.entries), lane.tokens)
            for places in self.router.all_places
            for lane in places.queue.lanes()
        )
        self.metrics.uploads.set(self.uploads.under_way)
        self.metrics.held_bytes.set(self.uploads.held)
        self.metrics.tell(self.metrics.evicted_uploads, self.uploads.evictions)
        self.metrics.tell(self.metrics.log_dropped, self.log.dropped)
        self.metrics.draining.set(self.lifecycle.draining)
        if self.pipeline is not None:
            self.metrics.set_spans(self.pipeline.counts)

    def render_metrics(self) -> bytes:
        """Return the metrics for Prometheus, of all workers together."""
        self.refresh_metrics()
        return self.metrics.render([backend.address for backend in self.backends])

    def _make_room(self, key: KeyEntry) -> bool:
        return self.router.push_out(key.tenant)

    def _changed(self, backend: Backend) -> None:
        self.router.look()
        self.log.event(
            "backend_ready" if backend.ready else "backend_not_ready",
            level="info" if backend.ready else "warning",
            backend=backend.address,
            model=backend.info.model if backend.info else None,
            engine=backend.info.id[:12] if backend.info else None,
            reason=backend.reason or None,
        )

    def _check_failed(self, backend: Backend, error: Exception) -> None:
        self._fault(error, backend=backend.address)

    def _fault(self, error: Exception, **fields: str) -> None:
        text = "".join(traceback.format_exception(error))
        self.log.event("fault", level="error", **fields, error=text)
