"""map: order, how many at once, errors, progress, an early end."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from gemma4_client import AsyncClient, CancelledError, Gemma4Error, InvalidRequestError
from gemma4_client.mapping import run_all
from gemma4_testing.event_loop import in_loop
from gemma4_testing.fakes.both_clients import KINDS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of
from gemma4_testing.waiting import wait_until

EVEN = Script([chunk(0, "stop", "even")])
BAD = Script(error="INVALID_ARGUMENT: x: bad")
HANG = Script([chunk(0)], hang=True)


@pytest.mark.parametrize("kind", KINDS)
def test_order_and_progress(kind: str) -> None:
    """The fake answers in the order of arrival; the client's order is that of the prompts."""
    done = []
    scripts = [Script([chunk(0, "stop", str(i))]) for i in range(12)]
    with server_of("http", *scripts) as (url, seen), client_of(kind, url) as client:
        answers = client.map(
            [f"q{i}" for i in range(12)], concurrency=4, max_tokens=3,
            progress=lambda n, total: done.append((n, total)),
        )  # fmt: skip
    asked = [json.loads(body["messages"])[0]["content"] for body in seen.bodies]
    by_prompt = {prompt: str(i) for i, prompt in enumerate(asked)}
    assert [a.text for a in answers] == [by_prompt[f"q{i}"] for i in range(12)]
    assert done == [(i, 12) for i in range(1, 13)]
    assert all(body["max_tokens"] == 3 and body["stream"] is False for body in seen.bodies)


@pytest.mark.parametrize("kind", KINDS)
def test_never_more_at_once(kind: str) -> None:
    with server_of("http", HANG) as (url, seen), client_of(kind, url) as client:
        results = []

        def run() -> None:
            results.append(
                client.map((str(i) for i in range(9)), concurrency=3, stream=True, errors="return")
            )

        thread = threading.Thread(target=run)
        thread.start()
        wait_until(lambda: seen.count == 3, 30)
        assert not thread.join(0.2) and seen.count == 3  # type: ignore[func-returns-value]
        seen.gone.set()
        thread.join(30)
    assert [type(r).__name__ for r in results[0]] == ["StreamOrderError"] * 9
    assert seen.count == 9


@pytest.mark.parametrize("kind", KINDS)
def test_errors_in_their_places(kind: str) -> None:
    with server_of("grpc", EVEN, BAD, EVEN) as (url, _), client_of(kind, url) as client:
        found = client.map(["a", "b", "c"], concurrency=1, errors="return")
    assert [f if isinstance(f, Gemma4Error) else f.text for f in found][::2] == ["even", "even"]
    assert isinstance(found[1], InvalidRequestError)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_error_ends_it(kind: str) -> None:
    """Only one answer and the error ever come: a third request is left, and there is no fourth."""
    with server_of("grpc", EVEN, BAD, HANG) as (url, seen), client_of(kind, url) as client:
        with pytest.raises(InvalidRequestError):
            client.map((str(i) for i in itertools.count()), concurrency=2)
        assert seen.count <= 3
        assert seen.count < 3 or seen.gone.wait(30)


@in_loop
async def test_the_first_error_ends_a_wait_for_the_next_prompt() -> None:
    async def prompts() -> AsyncIterator[str]:
        yield "a"
        await asyncio.Event().wait()

    with server_of("grpc", BAD) as (url, _):
        async with AsyncClient(url) as client:
            with pytest.raises(InvalidRequestError):
                await client.map(prompts(), concurrency=2)


def test_one_that_begins_as_another_fails_is_left() -> None:
    """Its stream comes to be just after the others were cancelled."""
    begins, others_cancelled = threading.Event(), threading.Event()

    class Answering:
        """``cancelled`` ends the wait for an answer."""

        def __init__(self, cancelled: threading.Event) -> None:
            self._cancelled = cancelled

        def result(self) -> None:
            raise CancelledError("left") if self._cancelled.wait(60) else TimeoutError

        def cancel(self) -> None:
            self._cancelled.set()

    class Failing(Answering):
        def result(self) -> None:
            begins.wait(60)
            raise InvalidRequestError("bad")

    late = Answering(threading.Event())

    def start(prompt: str) -> Any:
        if prompt == "early":
            return Answering(others_cancelled)
        if prompt == "bad":
            return Failing(threading.Event())
        begins.set()
        assert others_cancelled.wait(60)
        return late

    with pytest.raises(InvalidRequestError, match="bad"):
        run_all(start, ["early", "bad", "late"], 3, None, "raise")
    assert late._cancelled.is_set()


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_progress_ends_it(kind: str) -> None:
    def breaks(done: int, total: int | None) -> None:
        raise ZeroDivisionError

    with (
        server_of("grpc", EVEN) as (url, _),
        client_of(kind, url) as client,
        pytest.raises(ZeroDivisionError),
    ):
        client.map(["a", "b", "c"], concurrency=1, progress=breaks)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be(kind: str) -> None:
    with client_of(kind, "127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="concurrency=0"):
            client.map(["a"], concurrency=0)
        with pytest.raises(ValueError, match="errors='ignore'"):
            client.map(["a"], errors="ignore")
        with pytest.raises(ValueError, match="tempr"):
            client.map(["a"], tempr=1)
        assert client.map([]) == []
