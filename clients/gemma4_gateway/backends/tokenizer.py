"""Bytes of tokens, kept."""

from __future__ import annotations

from gemma4_client import AsyncClient, ServerError

__all__ = ["TokenTable"]

_MOST = 300_000
"""More than the vocabulary of any Gemma 4."""


class TokenTable:
    """Of one back end, asked through ``client``. Forgets everything when the engine changes.
    Raises the exceptions of :mod:`gemma4_client.errors`."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._bytes: dict[int, bytes] = {}
        self._engine = ""

    async def bytes_of(self, ids: list[int]) -> list[bytes]:
        """Return the bytes of each id, from memory where the id has been seen."""
        known = self._bytes
        missing = list({token for token in ids if token not in known})
        if missing:
            found = await self._client.detokenize(missing)
            if len(found.token_bytes) != len(missing):
                text = f"{len(missing)} tokens asked for, {len(found.token_bytes)} came"
                raise ServerError(f"gemma4_tokenizer: {text}")
            if found.server.id != self._engine or len(known) > _MOST:
                known.clear()
                self._engine = found.server.id
            known.update(zip(missing, found.token_bytes, strict=True))
            if any(token not in known for token in ids):
                return (await self._client.detokenize(ids)).token_bytes
        return [known[token] for token in ids]
