"""Which back ends may get a request."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.backends.router import Answering, Router
from gemma4_gateway.errors import ApiError
from gemma4_gateway.metrics import Metrics
from gemma4_testing.fakes.places import Room, backend


def made(names: list[str], aliases: frozenset[str] = frozenset()) -> Router:
    """A router over back ends whose engines have these names; "" for one that is not ready."""
    backends = []
    for i, name in enumerate(names):
        backend = Backend(f"127.0.0.1:{i + 1}", now=lambda: 0.0)
        if name:
            info: Any = SimpleNamespace(model=name)
            backend.info = info
            backend.mark(ready=True)
        backends.append(backend)
    nobody: Any = None
    return Router(backends, nobody, Metrics(), imbalance=8, aliases=aliases)


async def addresses(router: Router, model: str) -> list[str]:
    tried: frozenset[str] = frozenset()
    found = []
    while (backend := router.pick(b"12345678", model=model, tried=tried)) is not None:
        found.append(backend.address[-1])
        tried |= {backend.address}
    return sorted(found)


def test_a_model_is_served_by_the_engines_that_have_it() -> None:
    assert asyncio.run(addresses(made(["a", "b", "", "a"]), "a")) == ["1", "4"]
    assert asyncio.run(addresses(made(["a", "b", ""], frozenset({"x"})), "x")) == ["1", "2"]


def test_a_back_end_that_refused_is_the_last_choice() -> None:
    async def run() -> Any:
        router = made(["a", "a"])
        first = router.pick(b"12345678", model="a")
        assert first is not None
        first.failed("full", pause=1.0)
        return first, router.pick(b"12345678", model="a"), await addresses(router, "a")

    first, other, all_of_them = asyncio.run(run())
    assert other is not first
    assert all_of_them == ["1", "2"]


def test_none_is_503_that_says_why_of_each() -> None:
    with pytest.raises(ApiError, match=r"127\.0\.0\.1:1: not checked yet") as caught:
        made([""]).any_ready("a")
    assert caught.value.status == 503


def test_a_place_is_free_with_the_last_chunk_however_slowly_it_is_read() -> None:
    """And with the end of one that is left in its middle; each time once, with its tokens."""
    released: list[tuple[int, int]] = []
    seat: Any = SimpleNamespace(
        release=lambda *, prompt, answer: released.append((prompt, answer)),
        backend=Backend("127.0.0.1:1"),
    )

    class Stream:
        def cancel(self) -> None:
            pass

    stream: Any = Stream()

    def delta(tokens: int, finish: str = "") -> Any:
        return SimpleNamespace(prompt_tokens=3, completion_tokens=tokens, finish_reason=finish)

    async def chunks() -> Any:
        for each in (delta(2), delta(5, "stop")):
            yield each

    async def run() -> None:
        answering = Answering(stream, chunks(), delta(1), seat, OpenCalls())
        async for chunk in answering:
            assert released == ([(3, 5)] if chunk.finish_reason else [])
        Answering(stream, chunks(), delta(9, "stop"), seat, OpenCalls())
        assert released[-1] == (3, 9)
        left = Answering(stream, chunks(), delta(1), seat, OpenCalls())
        assert len(released) == 2
        left.close()
        assert released[-1] == (3, 1)

    asyncio.run(run())


def test_connections_stay_until_the_answer_is_read() -> None:
    """Its place is free before. One that is closed then takes the end of the answer with it."""

    class Stream:
        def cancel(self) -> None:
            pass

    stream: Any = Stream()
    end: Any = SimpleNamespace(prompt_tokens=3, completion_tokens=1, finish_reason="stop")

    async def no_more() -> Any:
        return
        yield

    async def run() -> None:
        room = Room(backend())
        (one,) = room.backends
        seat = await room.ask()
        answering = Answering(stream, no_more(), end, seat, OpenCalls())
        assert one.outstanding == 0 and not one.idle
        answering.close()
        answering.close()
        assert one.idle

    asyncio.run(run())
