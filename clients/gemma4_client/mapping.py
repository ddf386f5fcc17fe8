"""Many prompts, so many at once; answers in order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from gemma4_client._async.stream import AsyncStream
from gemma4_client._sync.stream import Stream
from gemma4_client.errors import Gemma4Error
from gemma4_client.results import Answer

__all__ = ["Progress", "run_all", "run_all_async"]

Progress = Callable[[int, int | None], None]
"""Called with how many are done, and how many there are or None."""
Outcome = Answer | Gemma4Error
T = TypeVar("T")


def _check(concurrency: int, errors: str) -> None:
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency} must be at least 1")
    if errors not in ("raise", "return"):
        raise ValueError(f"errors={errors!r} must be raise or return")


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except TypeError:
        return None


@contextmanager
def _reporting(progress: Progress | bool | None, total: int | None) -> Iterator[Progress]:
    if progress is True:
        from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        with Bars(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bars:
            task = bars.add_task("", total=total)
            yield lambda done, _: bars.update(task, completed=done)
    elif callable(progress):
        yield progress
    else:
        yield lambda done, total: None


def run_all(
    start: Callable[[T], Stream],
    prompts: Iterable[T],
    concurrency: int,
    progress: Progress | bool | None,
    errors: str,
) -> list[Outcome]:
    """See :meth:`Client.map`. Prompts are drawn as places get free, so they may be endless until
    then; whatever ends the call early cancels what runs."""
    _check(concurrency, errors)
    total = _length(prompts)
    outcomes: dict[int, Outcome] = {}
    running: dict[Future[Outcome], int] = {}
    streams: dict[int, Stream] = {}
    ended = threading.Event()

    def one(index: int, prompt: T) -> Outcome:
        try:
            streams[index] = stream = start(prompt)
            if ended.is_set():
                stream.cancel()  # it began while the others were cancelled
            return stream.result()
        except Gemma4Error as error:
            if errors == "raise":
                raise
            return error
        finally:
            streams.pop(index, None)

    source = enumerate(prompts)
    with ThreadPoolExecutor(concurrency, "gemma4-map") as pool, _reporting(progress, total) as say:
        try:
            while True:
                while len(running) < concurrency and (item := next(source, None)) is not None:
                    running[pool.submit(one, *item)] = item[0]
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    outcomes[running.pop(future)] = future.result()
                    say(len(outcomes), total)
        except BaseException:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for stream in list(streams.values()):
                stream.cancel()
            raise
    return [outcomes[index] for index in range(len(outcomes))]


async def _drawn(prompts: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(prompts, AsyncIterable):
        async for prompt in prompts:
            yield prompt
    else:
        for prompt in prompts:
            yield prompt


async def run_all_async(
    start: Callable[[T], AsyncStream],
    prompts: Iterable[T] | AsyncIterable[T],
    concurrency: int,
    progress: Progress | bool | None,
    errors: str,
) -> list[Outcome]:
    """See :meth:`AsyncClient.map`."""
    _check(concurrency, errors)
    total = _length(prompts)
    outcomes: dict[int, Outcome] = {}
    places = asyncio.Semaphore(concurrency)
    failure: list[BaseException] = []
    failed = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def one(index: int, prompt: T, say: Progress) -> None:
        try:
            try:
                async with start(prompt) as stream:
                    outcomes[index] = await stream.result()
            except Gemma4Error as error:
                if errors == "raise":
                    raise
                outcomes[index] = error
            say(len(outcomes), total)
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's task
            failure.append(error)
            failed.set()
        finally:
            places.release()

    async def draw(say: Progress) -> None:
        index = 0
        async for prompt in _drawn(prompts):
            await places.acquire()
            if failure:
                return
            task = asyncio.create_task(one(index, prompt, say))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            index += 1
        while tasks:
            await asyncio.wait(tasks, return_when=FIRST_COMPLETED)

    with _reporting(progress, total) as say:
        drawing = asyncio.create_task(draw(say))
        failing = asyncio.create_task(failed.wait())
        try:
            await asyncio.wait((drawing, failing), return_when=FIRST_COMPLETED)
            if failure:
                raise failure[0]
            await drawing
        finally:
            every = (drawing, failing, *tasks)
            for work in every:
                work.cancel()
            await asyncio.gather(*every, return_exceptions=True)
    return [outcomes[index] for index in range(len(outcomes))]
