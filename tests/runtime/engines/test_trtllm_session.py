"""The event loop of a worker: nothing holds it up, and its watches end in known ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from gemma4_runtime.engines.tensorrt_llm import session as module
from gemma4_runtime.engines.tensorrt_llm.session import Session
from gemma4_runtime.engines.tensorrt_llm.wire import (
    Event,
    Failed,
    Finished,
    KvUse,
    Lost,
    Submit,
)
from gemma4_runtime.messages import SamplingParams

STATS = [{"kvCacheStats": {"usedNumBlocks": 3, "maxNumBlocks": 9}}]
WAIT_S = 0.4
"""Seconds that slow statistics take, four times what TensorRT-LLM waits."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEALTH_S", 0.02)
    monkeypatch.setattr(module, "_STATS_S", 0.02)


def watched(
    check: Callable[[], bool],
    get_stats: Callable[[float], list[dict[str, Any]]],
    body: Callable[[Session], Awaitable[None]],
) -> list[Event]:
    """The events of a session without requests while ``body`` runs."""
    events: list[Event] = []

    async def get_stats_async(timeout: float) -> Any:
        for entry in get_stats(timeout):
            yield entry

    async def run() -> None:
        llm = SimpleNamespace(
            _check_health=check, get_stats=get_stats, get_stats_async=get_stats_async
        )
        made = Session(llm, SimpleNamespace(), pad_id=0, vocab_size=9, send=events.append)
        await body(made)
        await made.close(1)

    asyncio.run(run())
    return events


def slow(timeout: float) -> list[dict[str, Any]]:
    time.sleep(WAIT_S)
    return STATS


def test_statistics_that_wait_do_not_hold_up_the_loop() -> None:
    longest = 0.0

    async def body(_: Session) -> None:
        nonlocal longest
        end = time.monotonic() + 4 * WAIT_S
        while (before := time.monotonic()) < end:
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    events = watched(lambda: True, slow, body)
    assert longest < WAIT_S / 2
    assert events == [KvUse(3, 9)]


def test_statistics_that_fail_are_asked_for_again() -> None:
    answers = iter([ValueError("no figures yet"), [{"iter": 1}], STATS])

    def get_stats(timeout: float) -> Any:
        answer = next(answers, STATS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def body(_: Session) -> None:
        await asyncio.sleep(0.3)

    assert watched(lambda: True, get_stats, body) == [KvUse(3, 9)]


def health(*answers: bool | Exception) -> Callable[[], bool]:
    """Answers in turn, the last for ever."""
    left = list(answers)

    def check() -> bool:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return check


BROKEN = AttributeError("'LLM' object has no attribute '_executor'")


@pytest.mark.parametrize(
    ("check", "cause"),
    [
        (health(True, False), "executor is dead"),
        (health(BROKEN), "cannot be told: AttributeError"),
        (health(True, BROKEN, BROKEN, BROKEN), "cannot be told"),
    ],
)
def test_an_executor_that_is_dead_or_unknown_is_lost(check: Callable[[], bool], cause: str) -> None:
    async def body(made: Session) -> None:
        await asyncio.wait_for(made.lost.wait(), 10)

    (event,) = watched(check, lambda _: [], body)
    assert isinstance(event, Lost) and cause in event.cause


def test_a_health_question_that_fails_now_and_then_ends_nothing() -> None:
    check = health(BROKEN, BROKEN, True, BROKEN, BROKEN, True)

    async def body(made: Session) -> None:
        await asyncio.sleep(0.5)
        assert not made.lost.is_set()

    assert watched(check, lambda _: [], body) == []


@pytest.mark.parametrize("salt", [None, "quality-gate-7"])
def test_a_salt_keeps_prompts_out_of_the_cache_that_others_use(salt: str | None) -> None:
    """The quality gate's prompts are computed anew, and are of no use to anybody else."""
    asked: list[dict[str, Any]] = []

    async def answer() -> Any:
        yield SimpleNamespace(outputs=[SimpleNamespace(token_ids_diff=[], finish_reason="stop")])

    def generate_async(inputs: Any, **options: Any) -> Any:
        asked.append(options)
        return answer()

    async def get_stats_async(timeout: float) -> Any:
        for entry in STATS:
            yield entry

    events: list[Event] = []

    async def run() -> None:
        llm = SimpleNamespace(
            _check_health=lambda: True, get_stats_async=get_stats_async,
            generate_async=generate_async,
        )  # fmt: skip
        api = SimpleNamespace(SamplingParams=lambda **arguments: arguments)
        made = Session(llm, api, pad_id=0, vocab_size=9, send=events.append)
        made.submit(Submit("k", [2, 3], SamplingParams(max_tokens=2, temperature=0.0), salt))
        while not any(isinstance(event, Finished | Failed) for event in events):
            await asyncio.sleep(0.01)
        await made.close(1)

    asyncio.run(asyncio.wait_for(run(), 10))
    assert Finished("k", "stop") in events
    assert [options["cache_salt"] for options in asked] == [salt]
