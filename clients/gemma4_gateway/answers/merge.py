"""The chunks of all choices of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from gemma4_client import Delta
from gemma4_client.results import merged

from gemma4_gateway.backends.router import Answering

__all__ = ["Begin", "chunks_of", "gathered", "whole"]

Begin = Callable[[], Awaitable[Answering]]


async def chunks_of(begins: Sequence[Begin]) -> AsyncGenerator[tuple[int, Delta], None]:
    """Give ``(choice, chunk)`` as they come, each choice in order. The first failure ends all.
    Close it (:func:`contextlib.aclosing`): that stops the engine's work."""
    if len(begins) == 1:
        answering = await begins[0]()
        try:
            yield 0, answering.first
            async for delta in answering:
                yield 0, delta
        finally:
            answering.close()
        return
    queue: asyncio.Queue[tuple[int, Delta | BaseException | None]] = asyncio.Queue(len(begins))
    tasks = [asyncio.create_task(_pump(i, begin, queue)) for i, begin in enumerate(begins)]
    try:
        open_choices = len(begins)
        while open_choices:
            choice, item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                open_choices -= 1
            else:
                yield choice, item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(
    choice: int, begin: Begin, queue: asyncio.Queue[tuple[int, Delta | BaseException | None]]
) -> None:
    try:
        async with aclosing(chunks_of([begin])) as chunks:
            async for _, delta in chunks:
                await queue.put((choice, delta))
        await queue.put((choice, None))
    except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
        await queue.put((choice, error))


async def gathered(begins: Sequence[Begin]) -> list[Delta]:
    """Return the whole answer of every choice."""
    found: list[list[Delta]] = [[] for _ in begins]
    async with aclosing(chunks_of(begins)) as chunks:
        async for choice, delta in chunks:
            found[choice].append(delta)
    return [whole(deltas) for deltas in found]


def whole(deltas: Sequence[Delta]) -> Delta:
    """Return chunks in order, as one."""
    return deltas[0] if len(deltas) == 1 else merged(deltas, index=0)
