"""The chunks of all choices of a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing

from gemma4_client import Delta

from gemma4_gateway.engine.router import Answering

__all__ = ["Begin", "chunks_of", "gathered", "whole"]

Begin = Callable[[], Awaitable[Answering]]


async def chunks_of(begins: Sequence[Begin]) -> AsyncGenerator[tuple[int, Delta], None]:
    """``(choice, chunk)`` as they come, each choice in order. The first failure ends all. Close it
    (:func:`contextlib.aclosing`): that stops the engine's work."""
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
    """The whole answer of every choice."""
    found: list[list[Delta]] = [[] for _ in begins]
    async with aclosing(chunks_of(begins)) as chunks:
        async for choice, delta in chunks:
            found[choice].append(delta)
    return [whole(deltas) for deltas in found]


def whole(deltas: Sequence[Delta]) -> Delta:
    """Chunks in order, as one."""
    if len(deltas) == 1:
        return deltas[0]
    last = deltas[-1]
    return Delta(
        text="".join(d.text for d in deltas),
        reasoning="".join(d.reasoning for d in deltas),
        tool_calls=[call for d in deltas for call in d.tool_calls],
        finish_reason=last.finish_reason,
        index=0,
        prompt_tokens=last.prompt_tokens,
        completion_tokens=last.completion_tokens,
        ids=[token for d in deltas for token in d.ids],
        log_probs=[value for d in deltas for value in d.log_probs],
        timings=last.timings,
        cum_log_prob=last.cum_log_prob,
    )
