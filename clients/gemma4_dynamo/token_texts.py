"""Bytes of tokens, kept: Dynamo's frontend wants those of the most probable ones."""

from __future__ import annotations

from collections.abc import Iterable

from gemma4_client import AsyncClient

__all__ = ["TokenTexts"]

_MOST = 300_000
"""More than the vocabulary of any Gemma 4."""


class TokenTexts:
    """Of one server, asked through ``client``. A server that starts again with another vocabulary
    ends the worker's connection to it, see :class:`gemma4_dynamo.registration.Model`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.known: dict[int, bytes] = {}

    async def learn(self, tokens: Iterable[int]) -> dict[int, bytes]:
        """Return a table that has each of ``tokens``. Raises the exceptions of
        :mod:`gemma4_client.errors`."""
        missing = [token for token in dict.fromkeys(tokens) if token not in self.known]
        if missing:
            found = await self._client.detokenize(missing)
            if len(self.known) > _MOST:
                self.known.clear()
            self.known.update(zip(missing, found.token_bytes, strict=True))
        return self.known
