"""What a worker does with a request that it has read, in either form of ``--input``."""

from __future__ import annotations

from typing import Any, Protocol

from gemma4_client import AsyncClient, AsyncStream, Delta, InvalidRequestError

from gemma4_dynamo.token_texts import TokenTexts

__all__ = ["Asked"]


class Asked(Protocol):
    """A request. ``prompt_tokens`` is a guess where the prompt is not tokenized yet."""

    @property
    def prompt_tokens(self) -> int: ...

    def start(self, client: AsyncClient, *, request_id: str, timeout: float) -> AsyncStream:
        """Begin it. Raises ValueError for what cannot be sent."""
        ...

    async def chunks(self, delta: Delta, texts: TokenTexts, /) -> list[dict[str, Any]]:
        """Return what Dynamo gets for a chunk of the answer."""
        ...

    def refusal(self, error: InvalidRequestError, /) -> str:
        """Return the engine's refusal with the names that the client used."""
        ...

    def cancelled(self) -> list[dict[str, Any]]:
        """Return the end of an answer that nobody waits for."""
        ...

    def over(self) -> list[dict[str, Any]]:
        """Return the end of an answer that is whole before it begins, else nothing."""
        ...
