"""Cancel, overload, drain, restarts and deaths."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from cluster import MODEL, ask, long, seconds_since, streamed
from conftest import Cluster
from gemma4_testing.waiting import wait_until

QUESTIONS = [f"Tell me about {what}." for what in ("Paris", "tea", "rain", "trains", "the sea")]
WAIT_S = 500
"""For an answer, on a machine that does much else: so long is not the point of these tests."""


def begin(client: openai.OpenAI, tokens: int = 1900) -> openai.Stream[Any]:
    """A stream whose first token has come."""
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hello"}], temperature=0, stream=True,
        **long(tokens),
    )  # fmt: skip
    next(iter(stream))
    return stream


def busy(cluster: Cluster) -> int:
    return sum(not server.idle() for server in cluster.servers)


@pytest.mark.parametrize("number", range(3))
def test_cancel(cluster: Cluster, client: openai.OpenAI, number: int) -> None:
    stream = begin(client)
    assert busy(cluster) == 1
    stream.close()
    took = wait_until(lambda: busy(cluster) == 0, 10, "the engine goes on")
    print(f"the engine was free {took:.3f} s after the client had left")
    assert took < 0.5


def test_overload_goes_elsewhere_and_then_is_said(cluster: Cluster, client: openai.OpenAI) -> None:
    """Each server has 4 slots and room for 2 that wait."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(12))
        for stream in pool.map(lambda _: begin(client), range(8)):
            stack.callback(stream.close)
        waiting = [pool.submit(streamed, client, "Hello", **long(3)) for _ in range(4)]
        time.sleep(1)
        assert [w.done() for w in waiting] == [False] * 4
        with pytest.raises(openai.InternalServerError) as found:
            ask(client, max_tokens=2)
        assert found.value.status_code == 503
        stack.close()
        assert all(w.result(WAIT_S) is not None for w in waiting)
    assert ask(client, max_tokens=2)


def test_a_full_worker_is_not_the_end(cluster: Cluster, client: openai.OpenAI) -> None:
    """Round-robin asks the full worker every second time; nobody notices."""
    direct = cluster.servers[0].client()
    streams = [direct.chat("Hello", min_tokens=1900, max_tokens=1900) for _ in range(6)]
    try:
        for stream in streams[:4]:
            next(iter(stream))
        wait_until(lambda: len(streams) == 6, 1)
        assert all(ask(client, max_tokens=2) for _ in range(8))
    finally:
        for stream in streams:
            stream.cancel()


def test_drain(cluster: Cluster, client: openai.OpenAI) -> None:
    with ThreadPoolExecutor(8) as pool:
        expected = streamed(client, "Hello", **long(300))
        running = [pool.submit(streamed, client, "Hello", **long(300)) for _ in range(4)]
        wait_until(lambda: busy(cluster) == 2, 20)
        assert cluster.workers[0].stop() == 0
        assert "left_discovery" in cluster.workers[0].log.read_text()
        assert [r.result(WAIT_S) for r in running] == [expected] * 4
    assert all(ask(client, max_tokens=2) for _ in range(4))


def test_a_rolling_restart_loses_nothing(cluster: Cluster, client: openai.OpenAI) -> None:
    stop = threading.Event()
    answers: list[str] = []

    def user(number: int) -> None:
        while not stop.is_set():
            answers.append(streamed(client, QUESTIONS[number % 5], max_tokens=40))

    with ThreadPoolExecutor(4) as pool:
        users = [pool.submit(user, n) for n in range(4)]
        try:
            for place in range(2):
                assert cluster.workers[place].stop() == 0
                cluster.workers[place] = cluster.worker(place)
                cluster.frontend.wait_for_workers(2)
        finally:
            stop.set()
        for each in users:
            each.result(WAIT_S)
    print(f"{len(answers)} answers, none lost")
    assert len(answers) > 8


@pytest.mark.parametrize("victim", ["worker", "server"])
def test_a_death_in_the_middle_breaks_no_answer(
    cluster: Cluster, client: openai.OpenAI, victim: str
) -> None:
    """20 streams, 6 at once, which is all that the server that is left takes."""
    with ThreadPoolExecutor(6) as pool:
        expected = list(pool.map(lambda q: streamed(client, q, **long(250)), QUESTIONS))
        running = [pool.submit(streamed, client, q, **long(250)) for q in QUESTIONS * 4]
        wait_until(lambda: busy(cluster) == 2, 20)
        time.sleep(0.3)
        started = time.monotonic()
        if victim == "worker":
            cluster.workers[0].kill()
        else:
            cluster.servers[0].process.kill()
        found = [r.result(WAIT_S) for r in running]
    print(f"{len(found)} answers, the last {seconds_since(started):.1f} s after the {victim} died")
    assert found == expected * 4


def test_a_guided_answer_that_cannot_be_moved_ends_with_one_error(
    cluster: Cluster, client: openai.OpenAI
) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "object", "properties": {"a": {"type": "string", "minLength": 900}},
        "required": ["a"], "additionalProperties": False}}}  # fmt: skip

    def guided(_: int) -> str:
        try:
            return streamed(client, "Hello", max_tokens=1500, response_format=form)
        except openai.APIError as error:
            return f"error {error}"

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(guided, n) for n in range(2)]
        wait_until(lambda: busy(cluster) == 2, 20)
        cluster.workers[0].kill()
        found = [r.result(WAIT_S) for r in running]
    assert sum(f.startswith("error ") for f in found) == 1, found
