"""Who gets a place of a back end, when, and what those hear that get none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.errors import ApiError
from gemma4_gateway.fair.cost import PromptSize
from gemma4_gateway.fair.places import Seat, Want
from gemma4_gateway.fair.tenant import Tenant
from gemma4_gateway.request_timeout import allowed_seconds
from gemma4_testing.fakes.places import Room, backend
from gemma4_testing.virtual_time.clock import run_in_virtual_time
from starlette.datastructures import Headers

A, B = Tenant("a"), Tenant("b")


def run(test: Callable[[], Awaitable[None]]) -> None:
    run_in_virtual_time(asyncio.wait_for(test(), 10))


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def refused(task: asyncio.Task[Seat]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await task
    return caught.value


def test_nobody_waits_while_there_is_room() -> None:
    async def test() -> None:
        room = Room(backend(1), backend(2))
        first, second = await room.ask(), await room.ask()
        assert {first.backend.address, second.backend.address} == {"127.0.0.1:1", "127.0.0.1:2"}
        assert first.waited == second.waited == 0 and not room.waits
        first.release(prompt=5, answer=5)
        first.release(prompt=5, answer=5)
        assert [b.answers for b in room.backends].count(1) == 1

    run(test)


def test_a_place_goes_to_the_tenant_that_had_least() -> None:
    async def test() -> None:
        room = Room(backend())
        seat = await room.ask(A)
        tasks = [room.ask(A), room.ask(A), room.ask(B), room.ask(B)]
        await turns()
        room.order.clear()
        for _ in range(4):
            seat.release(prompt=100, answer=1)
            await turns()
            seat = next(t.result() for t in tasks if t.done())
            tasks = [t for t in tasks if not t.done()]
        assert sorted(room.order[:2]) == sorted(room.order[2:]) == ["a", "b"]
        assert [name for name, _ in room.waits] == room.order

    run(test)


def test_one_request_for_eight_slots_is_sent_ahead() -> None:
    """But no more than the server lets wait."""
    for slots, queued, most in ((32, 64, 36), (32, 1, 33), (4, 64, 6), (4, 0, 4)):
        one = backend(slots=slots)
        assert one.info is not None
        one.info.max_queued = queued  # type: ignore[misc]
        room = Room(one)

        async def test(room: Room = room, most: int = most) -> None:
            tasks = [room.ask() for _ in range(most + 1)]
            await turns()
            assert [t.done() for t in tasks] == [True] * most + [False]
            tasks[-1].cancel()

        run(test)


@pytest.mark.parametrize("how", ["calls", "task"])
def test_one_that_leaves_is_out_at_once(how: str) -> None:
    async def test() -> None:
        room, calls = Room(backend()), OpenCalls()
        seat = await room.ask(A)
        gone, stays = room.ask(A, calls), room.ask(B)
        await turns()
        if how == "calls":
            calls.cancel()
            assert (await refused(gone)).status == 499
        else:
            gone.cancel()
            await turns()
            assert gone.cancelled()
        assert len(room.places.queue) == 1
        seat.release(prompt=1)
        await stays
        if how == "calls":  # one of the same request that comes later has been left as well
            assert (await refused(room.ask(A, calls))).status == 499

    run(test)


def test_a_place_that_is_given_to_a_task_just_cancelled_is_not_lost() -> None:
    async def test() -> None:
        room = Room(backend())
        seat = await room.ask(A)
        gone, stays = room.ask(A), room.ask(B)
        await turns()
        seat.release(prompt=1)  # gone has it now, and does not know
        gone.cancel()
        (await stays).release()
        assert room.backends[0].answers == 0 and not len(room.places.queue)

    run(test)


@pytest.mark.parametrize(
    ("tenant", "seconds", "more", "least"),
    [
        (A, 0.1, {}, 0.1),
        (Tenant("a", queue_s=0.05), 5.0, {}, 0.05),
        (Tenant("a", queue_s=5.0), 0.1, {}, 0.1),
    ],
)
def test_who_waits_too_long_hears_it(
    tenant: Tenant, seconds: float, more: dict[str, Any], least: float
) -> None:
    async def test() -> None:
        room = Room(backend(), seconds=seconds)
        await room.ask()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        error = await refused(room.ask(tenant, **more))
        assert (error.status, error.code) == (429, "queue_timeout")
        assert error.headers()["retry-after"] == "1"
        assert loop.time() - begun == pytest.approx(least)
        assert not len(room.places.queue)

    run(test)


def test_a_deadline_ends_the_wait() -> None:
    async def test() -> None:
        room = Room(backend())
        await room.ask()
        now = asyncio.get_running_loop().time()
        assert (await refused(room.ask(deadline=now + 0.05))).code == "queue_timeout"

    run(test)


def test_bounds_of_one_tenant_are_no_bounds_of_another() -> None:
    async def test() -> None:
        room = Room(backend(), length=2, tokens=250)
        await room.ask()
        large = room.ask(A, tokens=1000)  # alone it may have any size
        await turns()
        error = await refused(room.ask(A, tokens=10))
        assert (error.status, error.code) == (429, "too_many_waiting")
        large.cancel()
        kept = [room.ask(A, tokens=10), room.ask(A, tokens=10)]
        await turns()
        assert (await refused(room.ask(A, tokens=10))).code == "too_many_waiting"
        other = room.ask(B)
        await turns()
        assert len(room.places.queue) == 3
        for task in (*kept, other):
            task.cancel()

    run(test)


def test_those_who_wait_hear_that_no_back_end_is_left() -> None:
    async def test() -> None:
        room = Room(backend())
        await room.ask()
        task = room.ask(B)
        await turns()
        room.backends[0].mark(ready=False, reason="gone")
        room.places.look()
        assert (await refused(task)).status == 503

    run(test)


def test_a_back_end_that_others_fill_is_left_alone_for_a_while() -> None:
    async def test() -> None:
        room = Room(backend(1, slots=4), backend(2, slots=4))
        assert room.backends[0].full()
        seats = [await room.ask() for _ in range(4)]
        assert {seat.backend.address for seat in seats} == {"127.0.0.1:2"}
        loop = asyncio.get_running_loop()
        begun = loop.time()
        seat = await room.ask()  # by a look, since nothing of ours ends
        assert seat.backend.address == "127.0.0.1:1"
        assert loop.time() - begun < 0.2

    run(test)


def test_all_have_been_tried() -> None:
    async def test() -> None:
        room = Room(backend(1))
        want = room.want(tried=frozenset({"127.0.0.1:1"}))
        assert await room.places.take(want, OpenCalls()) is None
        room.backends.append(backend(2))
        await room.ask()
        await room.ask()
        waits = asyncio.create_task(room.places.take(want, OpenCalls()))
        await turns()
        room.backends.pop()
        room.places.look()
        assert await waits is None

    run(test)


def test_a_server_that_does_not_say_its_slots_gets_everything() -> None:
    async def test() -> None:
        room = Room(backend(slots=0))
        assert not room.backends[0].full()
        for _ in range(100):
            await room.ask()

    run(test)


def test_without_a_queue_everything_is_sent() -> None:
    async def test() -> None:
        room = Room(backend(), length=0)
        for _ in range(10):
            await room.ask()

    run(test)


def test_the_cache_holds_what_is_expected() -> None:
    """A large one that does not fit waits, and alone it may have everything."""

    async def test() -> None:
        room = Room(backend(slots=8, kv_tokens=1000))
        first = await room.ask(tokens=600)
        second = room.ask(tokens=600)
        await turns()
        assert not second.done()
        first.release(prompt=600, answer=1)
        (await second).release(prompt=600, answer=1)
        (await room.ask(tokens=5000)).release()
        assert room.backends[0].expected_tokens == 0

    run(test)


def test_the_gateway_makes_room_for_one_that_has_nothing() -> None:
    async def test() -> None:
        room = Room(backend())
        await room.ask()
        flood = [room.ask(A) for _ in range(5)]
        await turns()
        assert not room.places.push_out(A)
        assert room.places.push_out(B)
        error = await refused(flood[-1])
        assert (error.status, error.code) == (429, "gateway_full")
        for task in flood[:-1]:
            assert not task.done()
            task.cancel()

    run(test)


async def measured(room: Room, *, seconds: float, tokens: int) -> Seat:
    """Have ten requests of ``tokens`` end, one each ``seconds``, while others wait; return a seat
    that is taken."""
    seat = await room.ask()
    for _ in range(10):
        waits = room.ask(tokens=tokens)
        await turns()
        await asyncio.sleep(seconds)
        seat.release(prompt=tokens - 1, answer=1)
        seat = await waits
    return seat


def test_one_that_would_wait_in_vain_hears_it_at_once_and_when_to_come_again() -> None:
    async def test() -> None:
        room = Room(backend(), seconds=5.0)
        seat = await measured(room, seconds=0.06, tokens=100)  # 1,700 tokens/s
        kept = [room.ask(A, tokens=1000) for _ in range(5)]  # 3 s
        await turns()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        error = await refused(room.ask(A, deadline=begun + 0.5))
        assert (error.status, error.code) == (429, "wait_too_long")
        assert loop.time() == begun
        assert 1 <= int(error.headers()["retry-after"]) <= 5
        assert (await refused(room.ask(Tenant("a", queue_s=0.5)))).code == "wait_too_long"
        other = room.ask(B, deadline=begun + 2)  # whose share is free
        await turns()
        assert not other.done()
        seat.release(prompt=99, answer=1)
        await asyncio.wait((other, *kept), return_when=asyncio.FIRST_COMPLETED)
        for task in (other, *kept):
            task.cancel()

    run(test)


def test_without_a_measurement_nobody_is_refused_by_estimate() -> None:
    async def test() -> None:
        room = Room(backend())
        await room.ask()
        tasks = [room.ask(tokens=10_000) for _ in range(20)]
        await turns()
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()

    run(test)


def test_what_can_never_fit_does_not_wait() -> None:
    """By the number that was asked for, and by the exact count of a long prompt."""

    async def test() -> None:
        asked: list[Backend] = []

        async def count(backend: Backend) -> int | None:
            asked.append(backend)
            return 9_999

        room = Room(backend())
        await room.ask()
        error = await refused(room.ask(most=10_000))
        assert (error.status, error.param) == (400, "max_tokens")
        room.ask(most=10_000, whole_room=True).cancel()
        fits = room.ask(tokens=8_000, count=count)
        await turns()
        assert not asked and not fits.done()
        fits.cancel()
        guessed = asyncio.create_task(room.places.take(long_want(room, count), OpenCalls()))
        error = await refused(guessed)  # type: ignore[arg-type]
        assert (error.status, error.code) == (400, "context_length_exceeded")
        assert "9999" in error.message and len(asked) == 1

    run(test)


def long_want(room: Room, count: Any) -> Want:
    want = room.want(count=count)
    want.prompt = PromptSize(40_000)
    return want


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "1e999", "soon", ""])
def test_a_time_limit_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ApiError, match=r"x-request-timeout: .* such as 30") as caught:
        allowed_seconds(Headers({"x-request-timeout": value}), 600)
    assert caught.value.status == 400


def test_the_time_limit_of_a_client() -> None:
    assert allowed_seconds(Headers(), 600) == 600
    assert allowed_seconds(Headers({"X-Request-Timeout": "2.5"}), 600) == 2.5
    assert allowed_seconds(Headers({"x-request-timeout": "900"}), 600) == 600
