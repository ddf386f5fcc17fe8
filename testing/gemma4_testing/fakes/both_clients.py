"""One test for the blocking and the asyncio client: an asyncio client that looks blocking."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from gemma4_client import AsyncClient, AsyncStream, Client
from gemma4_client.transport.loop_thread import LoopThread

KINDS = ("sync", "async")
PROTOCOLS = ("grpc", "http")


class Blocking:
    """AsyncClient in a loop of its own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._loop = LoopThread("test")
        self.inner = AsyncClient(*args, **options)

    def run(self, work: Any) -> Any:
        return self._loop.submit(work).result()

    def chat(self, *args: Any, **options: Any) -> BlockingStream:
        async def start() -> AsyncStream:
            return self.inner.chat(*args, **options)

        return BlockingStream(self, self.run(start()))

    def generate(self, *args: Any, **options: Any) -> BlockingStream:
        async def start() -> AsyncStream:
            return self.inner.generate(*args, **options)

        return BlockingStream(self, self.run(start()))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def call(*args: Any, **options: Any) -> Any:
            return self.run(method(*args, **options))

        return call

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.inner.close())
        self._loop.close()


class BlockingStream:
    """AsyncStream, read step by step."""

    def __init__(self, client: Blocking, stream: AsyncStream) -> None:
        self._client = client
        self.inner = stream

    def __iter__(self) -> Iterator[Any]:
        chunks: AsyncIterator[Any] = aiter(self.inner)

        async def step() -> Any:
            return await anext(chunks, None)

        async def leave() -> None:
            await chunks.aclose()  # type: ignore[attr-defined]

        try:
            while (delta := self._client.run(step())) is not None:
                yield delta
        finally:
            self._client.run(leave())

    def result(self) -> Any:
        return self._client.run(self.inner.result())

    @property
    def answer(self) -> Any:
        return self.inner.answer

    def cancel(self) -> None:
        async def work() -> None:
            self.inner.cancel()

        self._client.run(work())

    def __enter__(self) -> BlockingStream:
        self._client.run(self.inner.__aenter__())
        return self

    def __exit__(self, *error: object) -> None:
        self._client.run(self.inner.__aexit__(*error))  # type: ignore[arg-type]


def client_of(kind: str, url: str, **options: Any) -> Any:
    return Client(url, **options) if kind == "sync" else Blocking(url, **options)
