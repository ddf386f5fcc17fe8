"""Five times what a back end can do, in virtual time: who waits is served, and who is not does not
wait."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from gemma4_gateway.backends.calls import OpenCalls
from gemma4_gateway.errors import ApiError
from gemma4_testing.fakes.places import Room, backend
from gemma4_testing.virtual_time.clock import run_in_virtual_time

SLOTS, TOKENS, ANSWER_S, TIMES, SECONDS = 8, 20, 0.5, 5.0, 120.0
CAPACITY = SLOTS / ANSWER_S
"""Answers a second."""


async def overload(seed: int, spread: bool, prompt: int) -> Counter[str]:
    """Return how often each end came. ``spread``: the lengths of answers are exponential, else they
    are equal. ``prompt``: tokens of prompts that are thought to have 40."""
    loop, choice = asyncio.get_running_loop(), random.Random(seed)
    room, ends, slots = Room(backend(slots=SLOTS)), Counter[str](), asyncio.Semaphore(SLOTS)

    async def one(length: float) -> None:
        try:
            seat = await room.places.take(room.want(tokens=40, most=TOKENS), OpenCalls())
        except ApiError as error:
            ends[str(error.code)] += 1
            return
        assert seat is not None
        async with slots:
            await asyncio.sleep(ANSWER_S * length)
        seat.release(prompt=prompt, answer=max(1, round(TOKENS * length)))
        ends["answered"] += 1

    tasks = []
    while loop.time() < SECONDS:
        await asyncio.sleep(choice.expovariate(TIMES * CAPACITY))
        tasks.append(asyncio.create_task(one(choice.expovariate(1) if spread else 1.0)))
    await asyncio.gather(*tasks)
    return ends


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(("seed", "prompt"), [(1, 40), (2, 15), (3, 120)])
def test_hardly_anybody_waits_for_nothing(seed: int, spread: bool, prompt: int) -> None:
    ends = run_in_virtual_time(overload(seed, spread, prompt))
    refused = ends.total() - ends["answered"]
    assert set(ends) <= {"answered", "wait_too_long", "queue_timeout", "too_many_waiting"}
    assert refused > (TIMES - 1.5) * CAPACITY * SECONDS
    assert ends["queue_timeout"] < 0.005 * refused
    assert ends["answered"] > 0.97 * CAPACITY * SECONDS
