"""Two Triton servers. One is lost in the middle of load, and comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gemma4_runtime.server.board import Field
from gemma4_testing.servers.process_tree import find_process, kill_tree
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

SLOTS, QUEUED, TOKENS = 4, 4, 200
AT_ONCE = 4
"""Callers that ask at the same time."""
ARGS = ("--slots", str(SLOTS), "--max-queued", str(QUEUED))


@pytest.fixture(scope="module")
def pair(engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Served]]:
    folder = tmp_path_factory.mktemp("pair")
    with ThreadPoolExecutor(2) as pool:
        both = list(
            pool.map(lambda n: Served(engines / "synthetic", folder / n, *ARGS), ("a", "b"))
        )
    yield both
    for served in both:
        kill(served)


@pytest.fixture(scope="module")
def gateway(pair: list[Served]) -> Iterator[RunningGateway]:
    ports = [served.grpc for served in pair]
    running = RunningGateway(*ports, args=("--imbalance", "0", "--health-interval", "0.2"))
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.text


def kill(served: Served) -> None:
    """As a machine that loses power: every process at once."""
    if served.process.poll() is None:
        kill_tree(served.process.pid)
        served.process.wait()


def body(i: int, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"conversation {i}"}]
    return {"model": MODEL, "messages": messages, "max_tokens": TOKENS, "stream": True, **more}


class Caller:
    """One streamed request; ``events`` is what it got, ``status`` the HTTP status."""

    def __init__(self, gateway: RunningGateway, i: int, **more: Any) -> None:
        self.events: list[str] = []
        self.status = 0
        self._gateway = gateway
        self._body = body(i, **more)

    def run(self) -> Caller:
        path = "/v1/chat/completions"
        with self._gateway.http() as http, http.stream("POST", path, json=self._body) as reply:
            self.status = reply.status_code
            for line in reply.iter_lines():
                if line:
                    self.events.append(line.removeprefix("data: "))
        return self

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [json.loads(e)["error"] for e in self.events if '"error"' in e]

    @property
    def whole(self) -> bool:
        finish = [e for e in self.events if '"finish_reason":"length"' in e]
        return self.events[-1:] == ["[DONE]"] and len(finish) == 1 and not self.errors


def busy(served: Served) -> tuple[int, int]:
    board = served.board()
    return board[Field.ACTIVE], board[Field.QUEUED]


def test_a_conversation_stays_where_its_prefix_is(
    pair: list[Served], gateway: RunningGateway
) -> None:
    before = [served.counted(Field.ACCEPTED) for served in pair]
    for _ in range(6):
        assert Caller(gateway, 1, max_tokens=1).run().whole

    def gained() -> list[int]:
        return sorted(
            served.counted(Field.ACCEPTED) - b for served, b in zip(pair, before, strict=True)
        )

    wait_until(lambda: gained() == [0, 6], 2)


def test_overload_of_all_is_429_and_passes(pair: list[Served]) -> None:
    """By a gateway where nothing waits."""
    ports = [served.grpc for served in pair]
    gateway = RunningGateway(*ports, args=("--imbalance", "0", "--queue-length", "0"))
    try:
        overload_of_all(pair, gateway)
    finally:
        assert gateway.stop() == 0


def overload_of_all(pair: list[Served], gateway: RunningGateway) -> None:
    room = 2 * (SLOTS + QUEUED)
    with ThreadPoolExecutor(room) as pool:
        callers = [Caller(gateway, i) for i in range(room)]
        running = [pool.submit(c.run) for c in callers]
        wait_until(lambda: [busy(s) for s in pair] == [(SLOTS, QUEUED)] * 2, 10)
        late = Caller(gateway, 99).run()
        assert late.status == 429
        with gateway.http() as http:
            reply = http.post("/v1/chat/completions", json=body(100, stream=False))
        assert reply.status_code == 429
        assert reply.json()["error"]["code"] == "overloaded"
        assert reply.headers["retry-after"] == "1"
        assert all(future.result().whole for future in running)
    assert Caller(gateway, 1, max_tokens=1).run().whole


def test_a_lost_back_end(
    pair: list[Served], gateway: RunningGateway, engines: Path, tmp_path: Path
) -> None:
    """What was under way there ends with one error and is asked nowhere else, begun or not: the
    back end may have died of it. Nobody else notices."""
    lost, kept = pair
    before = kept.counted(Field.ACCEPTED)
    with ThreadPoolExecutor(SLOTS * 3) as pool:
        callers = [Caller(gateway, i) for i in range(SLOTS * 3)]
        running = [pool.submit(c.run) for c in callers]
        wait_until(lambda: sum(q for _, q in map(busy, pair)) == SLOTS, 10)
        wait_until(lambda: sum(len(c.events) > 1 for c in callers) == 2 * SLOTS, 10)
        kill(lost)
        for future in running:
            future.result()
    broken = [c for c in callers if not c.whole]
    assert SLOTS <= len(broken) <= SLOTS + SLOTS
    assert sum(c.status == 200 for c in broken) == SLOTS  # these had begun
    for caller in broken:
        error = json.loads(caller.events[-1])["error"]
        assert error["code"] == "backend_lost", caller.events[-2:]
        if caller.status == 200:
            assert caller.errors == [error]
        else:
            assert caller.status == 503
            assert "may have begun the request" in error["message"]
    assert kept.counted(Field.ACCEPTED) - before == len(callers) - len(broken)
    for caller in callers:
        if caller.status == 200:
            assert caller.events[0].count('"role":"assistant"') == 1
            assert sum('"role"' in e for e in caller.events) == 1
    with gateway.http() as http:
        wait_until(lambda: 'backend_not_ready"' in gateway.text, 5)
        ready = http.get("/health/ready").json()
        assert [b["ready"] for b in ready["backends"]] == [False, True]
        assert all(Caller(gateway, i, max_tokens=1).run().whole for i in range(8))
    port = ("--grpc-port", str(lost.grpc))
    again = Served(engines / "synthetic", tmp_path / "again", *ARGS, *port)
    try:
        gateway.wait_for('"backend_ready"', times=3)
        assert all(Caller(gateway, i, max_tokens=1).run().whole for i in range(8))
        assert again.counted(Field.ACCEPTED) > 1
        running_whole(gateway, again, kept)
    finally:
        kill(again)


def running_whole(gateway: RunningGateway, lost: Served, kept: Served) -> None:
    """The same of answers that are not streamed."""
    before = kept.counted(Field.ACCEPTED)

    def ask(i: int) -> httpx.Response:
        with gateway.http() as http:
            return http.post("/v1/chat/completions", json=body(i, stream=False))

    with ThreadPoolExecutor(SLOTS) as pool:
        replies = [pool.submit(ask, i) for i in range(SLOTS)]
        wait_until(lambda: [busy(s)[0] for s in (lost, kept)] == [SLOTS // 2] * 2, 10)
        kill(lost)
        answers = [reply.result() for reply in replies]
    assert sorted(a.status_code for a in answers) == [200] * (SLOTS // 2) + [503] * (SLOTS // 2)
    for answer in answers:
        if answer.status_code == 200:
            assert answer.json()["usage"]["completion_tokens"] == TOKENS
        else:
            assert answer.json()["error"]["code"] == "backend_lost"
            assert answer.headers["retry-after"]
    assert kept.counted(Field.ACCEPTED) - before == SLOTS // 2


def test_a_dead_preprocessing(pair_of_two: tuple[Served, Served, RunningGateway]) -> None:
    """The server ends with it, and so do the requests that run there; later ones go elsewhere."""
    a, _, gateway = pair_of_two
    for i in range(8):
        caller = Caller(gateway, i, max_tokens=1).run()
        assert caller.whole, caller.events
    find_process(a.process.pid, lambda p: "/preprocessing/" in " ".join(p.cmdline())).kill()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        callers = list(pool.map(lambda i: Caller(gateway, i, max_tokens=1).run(), range(150)))
    lost = [c for c in callers if not c.whole]
    # Each caller has one request at a time, so no more can be there when the server ends.
    assert len(lost) <= AT_ONCE, [c.events for c in lost]
    assert {e["code"] for c in lost for e in c.errors} <= {"backend_lost"}
    assert all(len(c.errors) == 1 for c in lost)
    gateway.wait_for('"backend_not_ready"')


@pytest.fixture
def pair_of_two(engines: Path, tmp_path: Path) -> Iterator[tuple[Served, Served, RunningGateway]]:
    served = [Served(engines / "synthetic", tmp_path / name, *ARGS) for name in ("c", "d")]
    running = RunningGateway(*(s.grpc for s in served))
    yield *served, running  # type: ignore[misc]
    running.stop()
    for one in served:
        kill(one)
