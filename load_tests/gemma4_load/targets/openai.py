"""A server of OpenAI's API: our gateway, or another."""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
import orjson
from gemma4_client.concurrency.timeouts import TIMED_OUT

from gemma4_load.errors import TargetError
from gemma4_load.targets.base import Seen
from gemma4_load.targets.openai_body import chat_body, failure, take_event
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words

__all__ = ["OpenAITarget"]

_DATA = b"data:"


class OpenAITarget:
    """``url`` ends in /v1. Without ``model``, the first that the server lists. ``context`` has the
    client's certificate, when the server asks for one."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        model: str = "",
        api_key: str = "",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._model = model
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # limit=0: as many connections as there are requests; read_bufsize: an event is one line.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context or ssl.create_default_context()),
            timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=10),
            headers=headers,
            read_bufsize=2**20,
        )

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        reply = Reply()
        data = orjson.dumps(chat_body(ask, self._model))
        try:
            async with self._session.post(
                f"{self.url}/chat/completions",
                data=data,
                headers={"Content-Type": "application/json"},
            ) as response:
                if response.status != 200:
                    raise failure(response.status, await response.text())
                done = False
                # By hand: 3.6 us an event. httpx-sse's decoder takes 17 us, which the meter would
                # add to the pauses that it measures.
                async for line in response.content:
                    if not line.startswith(_DATA):
                        continue
                    data = line[len(_DATA) :].strip()
                    if data == b"[DONE]":
                        done = True
                    elif take_event(reply, orjson.loads(data)) and not seen(0):
                        response.close()
                        return reply
                if not done:
                    raise TargetError("DATA_LOSS", "the stream ended without [DONE]")
        except TIMED_OUT:
            raise TargetError("DEADLINE_EXCEEDED", "no whole answer in time") from None
        except aiohttp.ClientError as error:
            raise TargetError("UNAVAILABLE", f"{type(error).__name__}: {error}") from None
        return reply

    async def ready(self) -> bool:
        try:
            return bool(await self._models())
        except TargetError:
            return False

    async def words(self) -> Words:
        """Measure words by two requests of one token each, from the ``usage`` in the answers."""
        counts = []
        for message in Words.probes():
            reply = await self.ask(Ask("probe", [message], {"max_tokens": 1}), lambda _: True)
            counts.append(reply.prompt_tokens)
        return Words.measured(counts)

    async def describe(self) -> dict[str, Any]:
        models = await self._models()
        if not models:
            raise TargetError("UNAVAILABLE", "the server lists no model")
        if not self._model:
            self._model = models[0]
        if self._model not in models:
            raise TargetError(
                "INVALID_ARGUMENT",
                f"model {self._model!r} is not there; it has {', '.join(models)}",
            )
        return {"model": self._model}

    async def _models(self) -> list[str]:
        try:
            async with self._session.get(f"{self.url}/models") as response:
                if response.status != 200:
                    raise failure(response.status, await response.text())
                return [str(entry["id"]) for entry in orjson.loads(await response.read())["data"]]
        except (aiohttp.ClientError, *TIMED_OUT) as error:
            raise TargetError("UNAVAILABLE", f"{type(error).__name__}: {error}") from None
        except (KeyError, TypeError, orjson.JSONDecodeError):
            raise TargetError("INTERNAL", "/models is not OpenAI's") from None

    async def close(self) -> None:
        await self._session.close()
