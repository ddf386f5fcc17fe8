"""Clients of several gateways, whose every request has an id: who got what, and how often engines
began with it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from gemma4_testing.servers.running_gateway import chat
from gemma4_testing.servers.served import Served

__all__ = ["Asked", "Clients", "begun"]

PATH = "/v1/chat/completions"
TRIES = 60
AGAIN_S = 0.25


@dataclass
class Asked:
    """A request for ``tokens`` tokens. ``got`` of them came; ``end``: "whole", "cut" after its first
    token, "lost" without one, "may have begun": the gateway said so, and a client must not ask
    again. ``tries``: what was answered before, of which a client may ask again."""

    name: str
    tokens: int
    got: int = 0
    end: str = ""
    tries: list[str] = field(default_factory=list)


class Clients:
    """Ask ``gateways`` in turns. A request that a gateway refused, or that broke before anything
    of its answer came, goes to the next one with the same id, as a load balancer would do it."""

    def __init__(self, gateways: Sequence[str], prefix: str) -> None:
        self._gateways, self._prefix = gateways, prefix
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._http = httpx.AsyncClient(timeout=120, limits=self._limits)
        self.asked: list[Asked] = []

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, tokens: int, *, stream: bool, tries: int = TRIES) -> Asked:
        """Ask until the request has an end."""
        number = len(self.asked)
        asked = Asked(f"{self._prefix}-{number}", tokens)
        self.asked.append(asked)
        body = chat(max_tokens=tokens, min_tokens=tokens, stream=stream)
        if stream:
            body["stream_options"] = {"include_usage": True}
        for attempt in range(tries):
            url = self._gateways[(number + attempt) % len(self._gateways)] + PATH
            try:
                refused = await self._once(asked, url, body, stream=stream)
            except httpx.HTTPError as error:
                refused = type(error).__name__
                if asked.got:
                    asked.end = "cut"
                    return asked
            if not refused:
                return asked
            asked.tries.append(refused)
            await asyncio.sleep(AGAIN_S)
        asked.end = "lost"
        return asked

    async def _once(self, asked: Asked, url: str, body: dict[str, object], *, stream: bool) -> str:
        """Return why the request is to be sent again, "" when it has its end."""
        headers = {"x-request-id": asked.name}
        async with self._http.stream("POST", url, json=body, headers=headers) as reply:
            if reply.status_code != 200:
                code = json.loads(await reply.aread())["error"]["code"]
                if code == "backend_lost":
                    asked.end = "may have begun"
                    return ""
                return str(code)
            if stream:
                return await _streamed(asked, reply)
            used = json.loads(await reply.aread())["usage"]
            asked.got = used["completion_tokens"]
        asked.end = "whole" if asked.got == asked.tokens else "cut"
        return ""

    async def keep(self, streams: int, over: Callable[[], bool]) -> None:
        """So many requests at once, each followed by the next until it is over."""

        async def client(number: int) -> None:
            while not over():
                await self.ask(20 + 13 * (number % 5), stream=number % 2 == 0)

        await asyncio.gather(*(client(n) for n in range(streams)))

    def ends(self) -> Counter[str]:
        return Counter(asked.end for asked in self.asked)

    def tries(self) -> Counter[str]:
        return Counter(why for asked in self.asked for why in asked.tries)


async def _streamed(asked: Asked, reply: httpx.Response) -> str:
    used = 0
    async for line in reply.aiter_lines():
        if not line.startswith("data: {"):
            continue
        event = json.loads(line[6:])
        if error := event.get("error"):
            if asked.got:
                asked.end = "cut"
                return ""
            return str(error["code"])
        if any(choice["delta"].get("content") for choice in event["choices"]):
            asked.got += 1
        used = (event.get("usage") or {}).get("completion_tokens", used)
    asked.end = "whole" if used == asked.tokens else "cut"
    return ""


def begun(servers: Sequence[Served]) -> Counter[str]:
    """Return how often engines began with each request, by their logs: id to times."""
    found: Counter[str] = Counter()
    for server in servers:
        for line in server.output:
            if '"event": "request"' in line:
                told = json.loads(line)
                found[told["request_id"]] += told["completion_tokens"] > 0
    return found
