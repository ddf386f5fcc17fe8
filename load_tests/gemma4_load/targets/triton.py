"""Triton, on gRPC or HTTP ``generate_stream``, through the SDK: order and completeness of every
stream are checked."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from gemma4_client import AsyncClient

from gemma4_load.targets.base import Intake, Seen, sdk_errors
from gemma4_load.workloads.base import Ask, Reply
from gemma4_load.workloads.words import Words, single_token_words, user

__all__ = ["TritonTarget"]

_PROBED_IDS = 4096
"""Token ids, drawn at random, among which words of one token are looked for."""


class TritonTarget:
    """Nothing is retried."""

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        self._client = AsyncClient(url, retry=None, breaker=None)

    async def ask(self, ask: Ask, seen: Seen) -> Reply:
        intake = Intake(seen)
        with sdk_errors():
            stream = self._client.chat(
                ask.messages, tools=ask.tools, timeout=self._timeout, **ask.options
            )
            async for delta in stream:
                if not intake.add(delta):
                    stream.cancel()
                    break
        return intake.reply

    async def ready(self) -> bool:
        return await self._client.ready()

    async def words(self) -> Words:
        """Return the words that are one token each, and what the template adds, asked from the
        server."""
        client = self._client
        with sdk_errors():
            info = await client.server_info()
            span = range(min(info.vocab_size, 300_000))
            ids = np.random.default_rng(0).permutation(np.array(span))[:_PROBED_IDS]
            known = single_token_words((await client.detokenize(ids.tolist())).token_bytes)
            words = Words(tuple(known)) if len(known) >= 50 else Words()
            text = words.text(np.random.default_rng(1), 400)
            plain = len(await client.tokenize(text, add_bos=False))
            whole = len(await client.tokenize([user(text)], chat=True))
        return Words(words.words, plain / len(text.split()), whole - plain)

    async def describe(self) -> dict[str, Any]:
        with sdk_errors():
            return asdict(await self._client.server_info())

    async def close(self) -> None:
        await self._client.close()
