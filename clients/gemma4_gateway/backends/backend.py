"""One Triton server: how busy it is, whether it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from gemma4_client import (
    TLS,
    AsyncClient,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    ServerInfo,
    UnavailableError,
)
from gemma4_client.wrong_port import BACKEND, wrong_port
from gemma4_runtime.contract.probe import PROBE_REQUEST_ID

from gemma4_gateway.backends.link import Link
from gemma4_gateway.backends.tokenizer import TokenTable
from gemma4_gateway.plain_text import without_paths
from gemma4_gateway.translate.request_plan import EngineCall

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Backend", "Lease"]


_PROBE_EVERY_S = 2.0
"""Seconds between two requests that go through engine and preprocessing."""
_LOOK_EVERY_S = 5.0
"""Seconds between two looks at what listens at an address that has never been ready."""
_ONE_AT_A_TIME = "preprocessing_"
"""Name of processes that work at one request at a time, the rest waits before them in Triton."""
_FULL_S = 0.1
"""Seconds that a back end counts as full after it said so: others than this gateway fill it."""
_AHEAD = 8
"""One request for so many slots is sent ahead, so that no slot waits for the way from the gateway
to the engine."""
_LEAST_AHEAD = 2
"""Requests that are sent ahead to an engine of few slots."""
_TOGETHER_S = 0.5
"""Requests that were in a process together hear of its death at the same time. Triton needs a
second for each request that finds it dead."""


class Lease:
    """One request on one back end. ``release`` once; it is safe to call again."""

    __slots__ = ("_released", "backend")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._released = False

    def release(self) -> None:
        if not self._released:
            self._released = True
            self.backend.outstanding -= 1


class Backend:
    """``ready``: the last health check passed. ``avoid_until``: seconds of ``now``; before it,
    other back ends are preferred. ``info`` stays None until the engine has named itself.
    ``suspect``: a request has failed there, so the next check asks it for more than its word.
    ``outstanding`` are the requests of this gateway there, ``answers`` those of them that generate,
    ``expected_tokens`` what these are expected to hold in the KV cache, and ``streams`` the answers
    that have begun and are not closed. ``elsewhere`` are the requests of others there, by its own
    count, when it was asked last. ``tls``: how to connect, where not in plain text. ``tracer``
    makes the spans of answers."""

    def __init__(
        self,
        address: str,
        now: Callable[[], float] = time.monotonic,
        *,
        tls: TLS | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.address = address
        self.ready = False
        self.reason = "not checked yet"
        self.outstanding = 0
        self.streams = 0
        self.answers = 0
        self.expected_tokens = 0
        self.elsewhere = 0
        self.failures = 0
        self.ejections = 0
        self.avoid_until = 0.0
        self.info: ServerInfo | None = None
        self.suspect = False
        self._full_until = float("-inf")
        self._probed = float("-inf")
        self._found = False
        self._looked, self._wrong_port = float("-inf"), ""
        self._dead: dict[str, float] = {}
        self._now = now
        self._tls = tls
        self._link = Link(address, tls, now, tracer=tracer)
        self.tokens = TokenTable(self.plain)

    @property
    def client(self) -> AsyncClient:
        """For answers."""
        return self._link.client

    @property
    def plain(self) -> AsyncClient:
        """For what must not wait behind answers: health, tokens."""
        return self._link.plain

    @property
    def idle(self) -> bool:
        """Whether its connections may be closed: nothing runs, and no answer is still being read,
        whose place may be free already."""
        return not self.outstanding and not self.streams

    @property
    def load(self) -> int:
        """Requests there, those of other gateways as of the last look."""
        return self.outstanding + self.elsewhere

    @property
    def avoided(self) -> bool:
        return self._now() < self.avoid_until

    def has_place(self, tokens: int) -> bool:
        """Return whether one more answer would begin at once, or as good as that, which is expected
        to hold ``tokens`` in the KV cache. True where the server does not say what it can take."""
        info = self.info
        if info is None or not info.slots:
            return True
        ahead = min(max(_LEAST_AHEAD, info.slots // _AHEAD), info.max_queued)
        if self.answers >= info.slots + ahead or self._now() < self._full_until:
            return False
        held = self.expected_tokens
        return not info.kv_tokens or not held or held + tokens <= info.kv_tokens

    def full(self) -> bool:
        """Note that it refused an answer for being full; return whether :meth:`has_place` says so
        from now on."""
        self._full_until = self._now() + _FULL_S
        return self.info is not None and self.info.slots > 0

    def lease(self) -> Lease:
        """Lease a place, which counts until it is released."""
        self.outstanding += 1
        return Lease(self)

    async def check(self, *, timeout: float) -> str:
        """Say why it cannot answer; "" when it can. Every time, Triton is asked whether its models
        are ready. When that is not enough (at the beginning, after a failure, and each two
        seconds), so are the processes that a request needs, since Triton calls a model ready whose
        process has died."""
        if await self._link.renew(idle=self.idle):
            self.tokens = TokenTable(self.plain)
        if not await self.plain.models_ready(timeout=timeout):
            return await self._look() or "not ready, or no server at this address"
        now = self._now()
        if self.info is not None and not self.suspect and now - self._probed < _PROBE_EVERY_S:
            return ""
        try:
            self.info = await self.plain.server_info(timeout=timeout)
        except Gemma4Error as error:
            return f"ready, but gemma4_tokenizer does not answer: {error}"
        self.elsewhere = max(0, self.info.in_flight - self.answers)
        self._found = True
        reason = await self._probe(timeout)
        if not reason:
            self.suspect, self._probed = False, now
        return reason

    async def _look(self) -> str:
        """Say what is wrong with the address; "" where it is right. One that was ready before is,
        and is not asked; nor is one over TLS, where a certificate may be what is wrong."""
        if self._found or self._tls is not None:
            return ""
        now = self._now()
        if now - self._looked >= _LOOK_EVERY_S:
            self._looked = now
            advice = await asyncio.to_thread(wrong_port, self.address, BACKEND)
            self._wrong_port = advice or ""
        return self._wrong_port

    async def _probe(self, timeout: float) -> str:
        """Send a request that goes through engine and preprocessing, which refuses it: nothing is
        generated."""
        try:
            await self.plain.generate(
                "x", max_tokens=0, timeout=timeout, request_id=PROBE_REQUEST_ID
            ).result()
        except InvalidRequestError:
            return ""
        except UnavailableError as error:
            self.never_begun(error)
            return "" if error.overloaded else f"ready, but does not take requests: {error}"
        except DeadlineExceededError:
            return f"ready, but takes no request within {timeout:g} s"
        except Gemma4Error as error:
            return f"ready, but requests fail: {error}"
        return ""

    def never_begun(self, error: UnavailableError) -> bool:
        """Return whether a request that ended with ``error`` here was provably never begun, so that
        another back end may have it. Of a process that died, the first request to report it may be
        the one that killed it; a later one found it dead."""
        process = error.process
        if error.refused or not process:
            return error.refused
        now = self._now()
        since = now - self._dead.setdefault(process, now)
        return process.startswith(_ONE_AT_A_TIME) and since > _TOGETHER_S

    def succeeded(self) -> None:
        """Note that a first token came."""
        self.failures = 0

    def failed(self, reason: str, *, pause: float) -> None:
        """Note that a request was refused or lost before its first token: prefer others for
        ``pause`` seconds, doubled with each failure in a row up to 32 times."""
        self.failures += 1
        self.reason = without_paths(reason)
        self.avoid_until = self._now() + pause * 2 ** min(self.failures - 1, 5)

    def mark(self, *, ready: bool, reason: str = "") -> bool:
        """Take what a health check found; return True when that is news."""
        changed = ready != self.ready
        if changed and not ready:
            self.ejections += 1
            self.info = None
            self.elsewhere = 0
        if ready:
            if changed:
                self.failures, self.avoid_until = 0, 0.0
                self._dead.clear()
            reason = ""
        self.ready, self.reason = ready, without_paths(reason)
        return changed

    async def prompt_ids(self, call: EngineCall) -> list[int]:
        """Return the token ids of the call's messages or text. Raises the exceptions of
        :mod:`gemma4_client.errors`."""
        if call.messages is None:
            return (await self.plain.tokenize(call.text or "")).ids
        found = await self.plain.tokenize(
            call.messages,
            chat=True,
            tools=call.tools,
            enable_thinking=call.options.get("enable_thinking"),
            continue_final_message=call.options.get("continue_final_message"),
        )
        return found.ids

    async def close(self) -> None:
        await self._link.close()
