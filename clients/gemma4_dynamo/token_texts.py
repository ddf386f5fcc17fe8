"""Bytes of tokens, kept: Dynamo's frontend wants those of the most probable ones."""

from __future__ import annotations

from collections.abc import Iterable

from gemma4_client import AsyncClient

__all__ = ["TokenTexts"]


class TokenTexts:
    """Of one server, asked through ``client``: at most its vocabulary. A server that starts again
    with another vocabulary gets no more requests, see :meth:`gemma4_dynamo.model.Model.check`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self.known: dict[int, bytes] = {}

    async def learn(self, tokens: Iterable[int]) -> dict[int, bytes]:
        """Return a table that has each of ``tokens``. Raises the exceptions of
        :mod:`gemma4_client.errors`."""
        missing = [token for token in dict.fromkeys(tokens) if token not in self.known]
        if missing:
            found = await self._client.detokenize(missing)
            self.known.update(zip(missing, found.token_bytes, strict=True))
        return self.known
