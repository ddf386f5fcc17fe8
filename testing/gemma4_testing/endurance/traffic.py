"""Everything that clients do, at once, until it is over: whole and streamed answers by every way
with tools and schemas, cancels, clients that leave, deadlines, bad and odd requests, overload."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import httpx
from gemma4_client import AsyncClient, CancelledError, Gemma4Error, UnavailableError

from gemma4_testing.cases.gateway_mutations import Mutated, mutated
from gemma4_testing.mixed.run import send
from gemma4_testing.servers.served import user
from gemma4_testing.waiting import wait_until_async

__all__ = ["Ports", "Traffic"]

COMPARED = 216
"""Requests of a round by every way, whose answers are compared."""
BURST = 150
"""Requests at once; the demo engine takes 72."""
CLIENT_LIFE = 20
"""Requests after which a client closes its connection and makes another."""
CANARY_S = 0.5
HANG_S = 60
LONG_S = 300
"""Of an odd request that names no limit, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Of a server and of its gateway, which serves ``model``."""

    grpc: int
    http: int
    gateway: int
    model: str


@dataclass
class Traffic:
    """``at_rest`` is called after each round, when nothing is under way.

    ``counts``: (kind, end) to requests. ``failures``: what was neither an answer nor a refusal
    that a client can act on. ``latency``: (way, seconds since the begin) and seconds of short
    answers beside it all."""

    ports: Ports
    seconds: float
    began: float = field(default_factory=time.monotonic)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    latency: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    compared: int = 0
    flooded: bool = False
    at_rest: Callable[[], Awaitable[None]] | None = None
    _go: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: int = 0

    @property
    def sent(self) -> int:
        return self.counts.total()

    def at(self) -> float:
        """Return seconds since the begin."""
        return time.monotonic() - self.began

    def over(self) -> bool:
        return self.at() > self.seconds or len(self.failures) > 20

    async def run(self) -> None:
        """Return when it is over and every request has ended."""
        self._go.set()
        await asyncio.gather(
            self._compared(), self._canary(), *(self._cancels(n) for n in range(3)),
            *(self._leaves(n) for n in range(3)), *(self._odd(n) for n in range(2)),
        )  # fmt: skip

    def _failed(self, kind: str, error: object) -> None:
        self.counts[kind, "failed"] += 1
        self.failures.append(f"{self.at():.0f} s, {kind}: {error}")

    async def _compared(self) -> None:
        """By every way, the same requests, then more at once than the server takes."""
        gateway = f"http://127.0.0.1:{self.ports.gateway}"
        number = 0
        while not self.over():
            number += 1
            try:
                report = await send(
                    self.ports.grpc, gateway, self.ports.model, seed=number, count=COMPARED
                )
            except AssertionError as error:
                self._failed("compared", error)
                continue
            self.counts += report.counts
            self.compared += report.compared
            self.flooded = True
            await self._burst()
            await self._rest()
            self.flooded = False

    async def _rest(self) -> None:
        """Let all others end what they do, have them looked at, and go on."""
        self._go.clear()
        await wait_until_async(lambda: not self._busy, LONG_S, "requests end", every=0.02)
        await asyncio.sleep(0.5)
        if self.at_rest is not None:
            await self.at_rest()
        self._go.set()

    @asynccontextmanager
    async def _work(self) -> AsyncIterator[None]:
        """Be under way, but not while all rest."""
        await self._go.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _burst(self) -> None:
        async with self._client() as client:
            await asyncio.gather(*(self._plain(client, "burst") for _ in range(BURST)))

    def _client(self) -> AsyncClient:
        return AsyncClient(f"127.0.0.1:{self.ports.grpc}", retry=None, breaker=None)

    async def _plain(self, client: AsyncClient, kind: str, **options: object) -> None:
        try:
            await client.chat(user("Hello"), max_tokens=8, timeout=HANG_S, **options).result()  # type: ignore[arg-type]
            self.counts[kind, "answer"] += 1
        except UnavailableError:
            self.counts[kind, "UNAVAILABLE"] += 1
        except Gemma4Error as error:
            self._failed(kind, repr(error))

    async def _cancels(self, number: int) -> None:
        """Through the SDK, with connections that come and go: cancels, deadlines, bad values."""
        random = Random(number)
        while not self.over():
            async with self._work(), self._client() as client:
                for _ in range(CLIENT_LIFE):
                    kind = random.choice(("cancel", "deadline", "bad"))
                    try:
                        await _one(client, kind, random)
                        self.counts[kind, "answer"] += 1
                    except ValueError:
                        self.counts[kind, "INVALID_ARGUMENT"] += 1
                    except CancelledError:
                        self.counts[kind, "CANCELLED"] += 1
                    except Gemma4Error as error:
                        self.counts[kind, error.status] += 1
                        if error.status in ("INTERNAL", "UNKNOWN"):
                            self._failed(kind, repr(error))

    async def _leaves(self, number: int) -> None:
        """Connections that close in the middle of an answer: the gateway's, and Triton's HTTP."""
        random = Random(number)
        stream = {"text_input": "Count", "max_tokens": 200, "min_tokens": 200, "stream": True}
        body = {"model": self.ports.model, "messages": user("Count"), "max_tokens": 200,
                "min_tokens": 200, "stream": True}  # fmt: skip
        while not self.over():
            gateway = random.random() < 0.5
            port = self.ports.gateway if gateway else self.ports.http
            path = "/v1/chat/completions" if gateway else "/v2/models/gemma4/generate_stream"
            data = json.dumps(body if gateway else stream).encode()
            kind = "left gateway" if gateway else "left Triton"
            request = Mutated(path, data, _JSON)
            async with self._work():
                status = await self._raw(kind, port, request, read=random.random())
            self.counts[kind, status] += 1

    async def _odd(self, number: int) -> None:
        """Bodies, heads and paths that are nearly right, to the gateway."""
        at = number
        while not self.over():
            at += 2
            request = mutated(at, self.ports.model)
            if at % 5 == 0:  # no such route, whatever the text
                request = Mutated("/v1/embeddings", request.body, request.headers)
            async with self._work():
                status = await self._raw("odd", self.ports.gateway, request)
            self.counts["odd", status] += 1
            if status.startswith("5") and status != "503":
                self._failed("odd", f"{status} for number {at}")

    async def _raw(self, kind: str, port: int, request: Mutated, read: float = 0.0) -> str:
        """Return the status, "none" for a connection that the server closed. The answer is left
        after the share ``read`` of 4 KB, or read to its end with 0."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = {"host": "x", "connection": "close", "content-length": str(len(request.body))}
        lines = [f"POST {request.path} HTTP/1.1",
                 *(f"{k}: {v}" for k, v in (head | request.headers).items()), "", ""]  # fmt: skip
        try:
            async with asyncio.timeout(HANG_S if read else LONG_S):
                writer.write("\r\n".join(lines).encode("latin-1") + request.body)
                status = (await reader.readline()).split(b" ")
                await (reader.read(1 + int(4096 * read)) if read else reader.read())
                return status[1].decode() if len(status) > 1 else "none"
        except TimeoutError:
            self._failed(kind, f"hangs: {request}"[:500])
            return "hang"
        except OSError:
            return "none"
        finally:
            writer.transport.abort()

    async def _canary(self) -> None:
        """Short answers, one at a time, but not while more is sent than the server takes."""
        url = f"http://127.0.0.1:{self.ports.gateway}/v1/chat/completions"
        body = {"model": self.ports.model, "messages": user("Hello"), "max_tokens": 3,
                "temperature": 0}  # fmt: skip
        async with self._client() as client, httpx.AsyncClient(timeout=HANG_S) as http:
            while not self.over():
                await asyncio.sleep(CANARY_S)
                if self.flooded:
                    continue
                async with self._work():
                    started, at = time.monotonic(), self.at()
                    await self._plain(client, "canary")
                    middle = time.monotonic()
                    reply = await http.post(url, json=body)
                self.counts["canary", str(reply.status_code)] += 1
                if reply.status_code not in (200, 429, 503):
                    self._failed("canary", reply.text)
                if not self.flooded:
                    self.latency.setdefault("SDK", []).append((at, middle - started))
                    self.latency.setdefault("gateway", []).append((at, time.monotonic() - middle))


_JSON = {"content-type": "application/json"}


async def _one(client: AsyncClient, kind: str, random: Random) -> None:
    if kind == "bad":
        await client.chat(user("x"), max_tokens=-random.randint(0, 9)).result()
    limit = random.randint(1, 200) if kind == "deadline" else HANG_S * 1000
    text = "x " * random.randint(1, 400)
    stream = client.chat(user(text), max_tokens=60, min_tokens=60, timeout_ms=limit)
    if kind == "cancel":
        async for _ in stream:
            if random.random() < 0.3:
                stream.cancel()
    await stream.result()
