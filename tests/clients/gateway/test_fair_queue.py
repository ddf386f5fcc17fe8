"""Who starts next, in virtual time: shares, no starvation, no lost work, no lost token."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

import pytest
from gemma4_gateway.fair.queue import Charge, Entry, FairQueue
from gemma4_gateway.fair.tenant import CLASS_WEIGHTS, Priority, Tenant
from hypothesis import given, settings
from hypothesis import strategies as st

MOST = 400
"""Tokens of the largest request."""

weights = st.sampled_from([0.5, 1.0, 2.0, 5.0])
classes = st.sampled_from(list(CLASS_WEIGHTS))
costs = st.integers(1, MOST)


@dataclass
class Job:
    """``cost`` is what it takes; ``expected`` what it is thought to take at its start."""

    tenant: Tenant
    cost: int
    expected: int


@dataclass
class Server:
    """``slots`` that each do one token in a unit of time. Time goes on only in :meth:`run`."""

    slots: int
    queue: FairQueue[Job] = field(default_factory=FairQueue)
    now: float = 0.0
    running: list[tuple[float, int, Charge[Job], Job]] = field(default_factory=list)
    started: list[tuple[float, Job]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def ask(self, job: Job) -> Entry[Job] | None:
        lane = self.queue.lane(job.tenant)
        if len(self.running) < self.slots and not len(self.queue):
            self._begin(job, self.queue.start(lane, job.expected))
            return None
        return self.queue.push(lane, job, job.expected)

    def step(self) -> None:
        """Let the next one end, and fill its place."""
        self.now, _, charge, job = heapq.heappop(self.running)
        self.queue.settle(charge, job.cost, answer=job.cost)
        self.done[job.tenant.name] += job.cost
        self.fill()

    def fill(self) -> None:
        while len(self.running) < self.slots and (entry := self.queue.head()) is not None:
            self._begin(entry.item, self.queue.take(entry))

    def _begin(self, job: Job, charge: Charge[Job]) -> None:
        heapq.heappush(self.running, (self.now + job.cost, len(self.started), charge, job))
        self.started.append((self.now, job))

    def served(self) -> Counter[str]:
        """Tokens of those that have started."""
        found: Counter[str] = Counter()
        for _, job in self.started:
            found[job.tenant.name] += job.cost
        return found


def exact(tenant: Tenant, cost: int) -> Job:
    return Job(tenant, cost, cost)


def full(slots: int) -> Server:
    """A server whose slots are taken by somebody who does not come again."""
    server = Server(slots)
    for _ in range(slots):
        server.ask(exact(Tenant("before"), 1))
    return server


@settings(max_examples=60, deadline=None)
@given(
    st.lists(weights, min_size=2, max_size=5),
    st.integers(1, 8),
    st.lists(costs, min_size=100, max_size=100),
)
def test_shares_are_those_of_the_weights(shares: list[float], slots: int, sizes: list[int]) -> None:
    """Of tenants that always wait none is ahead of another, by weight, by more than one of the
    largest requests of each."""
    tenants = [Tenant(f"t{i}", weight) for i, weight in enumerate(shares)]
    server = full(slots)
    cost = iter(sizes)
    for tenant in tenants:
        for _ in range(slots + 2):
            server.ask(exact(tenant, next(cost)))
    had: Counter[str] = Counter()
    for size in cost:
        last = len(server.started)
        server.step()
        for _, job in server.started[last:]:
            had[job.tenant.name] += job.cost
            server.ask(exact(job.tenant, size))
        for one, other in combinations(tenants, 2):
            apart = had[one.name] / one.weight - had[other.name] / other.weight
            assert abs(apart) <= MOST / one.weight + MOST / other.weight


def test_one_at_its_weight_while_another_floods() -> None:
    """By numbers: 3 to 1, whatever the sizes of their requests are."""
    big, small = Tenant("big", 3.0), Tenant("small", 1.0)
    server = full(4)
    for _ in range(400):
        server.ask(exact(small, 400))
    for _ in range(4000):
        server.ask(exact(big, 50))
    while server.now < 20_000:
        server.step()
    assert server.done["big"] / server.done["small"] == pytest.approx(3.0, rel=0.05)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), classes, weights, costs, costs, st.booleans()),
        min_size=1,
        max_size=120,
    ),
    st.integers(1, 5),
)
def test_no_work_and_no_token_is_lost(
    asked: list[tuple[int, Priority, float, int, int, bool]], slots: int
) -> None:
    """Whatever comes, is expected and leaves: no slot is free while somebody waits, each tenant is
    served in order, everybody is served in the end, and what was charged is what was done."""
    server = Server(slots)
    tenants: dict[int, Tenant] = {}
    order: dict[str, list[Job]] = {}
    for number, priority, weight, cost, expected, leaves in asked:
        tenant = tenants.setdefault(number, Tenant(f"t{number}", weight, priority))
        job = Job(tenant, cost, expected)
        entry = server.ask(job)
        if leaves and entry is not None:
            assert server.queue.remove(entry)
            assert not server.queue.remove(entry)
        else:
            order.setdefault(tenant.name, []).append(job)
        assert len(server.running) == slots or not len(server.queue)
        if cost % 3 == 0:
            server.step()
            assert len(server.running) == slots or not len(server.queue)
    while server.running:
        server.step()
        assert len(server.running) == slots or not len(server.queue)
    assert not len(server.queue) and server.queue.head() is None
    began: dict[str, list[Job]] = {}
    for _, job in server.started:
        began.setdefault(job.tenant.name, []).append(job)
    assert {n: list(map(id, jobs)) for n, jobs in began.items()} == {
        n: list(map(id, jobs)) for n, jobs in order.items()
    }
    assert server.done == server.served()
    assert all(server.queue.lane(t).running == 0 for t in tenants.values())
    assert all(server.queue.lane(t).tokens == 0 for t in tenants.values())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(costs, costs), min_size=1, max_size=60), weights)
def test_charges_are_the_tokens_in_the_end(jobs: list[tuple[int, int]], weight: float) -> None:
    """Of one that always waits: estimates of any size are corrected, to the token."""
    queue: FairQueue[int] = FairQueue()
    lane = queue.lane(Tenant("a", weight))
    for expected, _ in jobs:
        queue.push(lane, 0, expected)
    keeper = queue.push(lane, 0, 1)
    charges = []
    for _ in jobs:
        entry = queue.head()
        assert entry is not None
        charges.append(queue.take(entry))
    for charge, (_, cost) in zip(charges, jobs, strict=True):
        queue.settle(charge, cost)
    assert lane.counter * weight == pytest.approx(sum(cost for _, cost in jobs))
    assert queue.head() is keeper


@settings(max_examples=40, deadline=None)
@given(st.lists(classes, min_size=2, max_size=6), st.integers(1, 4), costs)
def test_nobody_starves(kinds: list[Priority], slots: int, cost: int) -> None:
    """One of any class begins after a bounded number of tokens, though all others flood."""
    flood = [Tenant(f"t{i}", 5.0, kind) for i, kind in enumerate(kinds)]
    late = Tenant("late", 0.5, "low")
    server = Server(slots)
    for tenant in flood:
        for _ in range(150):
            server.ask(exact(tenant, cost))
    for _ in range(20):
        server.step()
    before = sum(server.served().values())
    server.ask(exact(late, MOST))
    while not any(job.tenant is late for _, job in server.started):
        server.step()
        rivals = sum(CLASS_WEIGHTS.values()) / CLASS_WEIGHTS["low"]
        bound = rivals * (len(flood) + 1) * (cost + MOST) + slots * cost
        assert sum(server.served().values()) - before <= bound


def test_a_class_goes_first_and_takes_no_more_than_its_share() -> None:
    high, low = Tenant("high", priority="high"), Tenant("low", priority="low")
    server = full(2)
    for tenant in (low, high):
        for _ in range(800):
            server.ask(exact(tenant, 100))
    while server.now < 30_000:
        server.step()
    assert server.done["high"] / server.done["low"] == pytest.approx(16.0, rel=0.15)


def test_an_idle_tenant_has_built_no_credit() -> None:
    busy, idle = Tenant("busy"), Tenant("idle")
    server = Server(1)
    server.ask(exact(idle, 10))
    for _ in range(100):
        server.ask(exact(busy, 100))
    for _ in range(60):
        server.step()
    for _ in range(40):
        server.ask(exact(idle, 100))
    before = server.served()
    for _ in range(20):
        server.step()
    gained = server.served() - before
    assert abs(gained["busy"] - gained["idle"]) <= 200


def test_a_guess_that_was_too_high_is_no_credit_after_an_idle_time() -> None:
    """It would let one that guesses high and comes again begin before all others."""
    queue: FairQueue[int] = FairQueue()
    sly, fair = queue.lane(Tenant("sly")), queue.lane(Tenant("fair"))
    charge = queue.start(sly, 1000)
    for _ in range(40):
        queue.settle(queue.start(fair, 100), 100)
    queue.push(sly, 0, 100)
    queue.settle(charge, 10)
    assert sly.counter >= sly.group.shares.now


def test_one_that_has_to_wait_again_is_first() -> None:
    queue: FairQueue[str] = FairQueue()
    lane = queue.lane(Tenant("a"))
    for name in ("first", "second"):
        queue.push(lane, name, 10)
    queue.push(lane, "again", 10, front=True)
    found = []
    while (entry := queue.head()) is not None:
        queue.take(entry)
        found.append(entry.item)
    assert found == ["again", "first", "second"]


def test_who_is_pushed_out() -> None:
    queue: FairQueue[int] = FairQueue()
    flood, few = queue.lane(Tenant("flood")), queue.lane(Tenant("few"))
    assert queue.longest(few) is None
    for number in range(5):
        queue.push(flood, number, 10)
    assert queue.longest(flood) is None
    found = queue.longest(few)
    assert found is not None and found.item == 4
    heavy = queue.lane(Tenant("heavy", weight=10.0))
    for _ in range(5):
        queue.push(heavy, 9, 10)
    newest = queue.longest(few)
    assert newest is not None and newest.lane is flood  # by weight


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), costs), min_size=1, max_size=80),
    st.integers(0, 4),
    st.lists(weights, min_size=5, max_size=5),
)
def test_the_tokens_ahead_are_as_estimated(
    asked: list[tuple[int, int]], late: int, shares: list[float]
) -> None:
    """When nobody else comes, within one request of each tenant."""
    queue: FairQueue[str] = FairQueue()
    lanes = [queue.lane(Tenant(f"t{i}", weight)) for i, weight in enumerate(shares)]
    for number, cost in asked:
        queue.push(lanes[number], "", cost)
    estimate = queue.tokens_ahead(lanes[late])
    queue.push(lanes[late], "late", 1)
    ahead = 0
    while (entry := queue.head()) is not None:
        queue.take(entry)
        if entry.item == "late":
            break
        ahead += entry.tokens
    assert abs(ahead - estimate) <= MOST * len(lanes)


def test_tenants_that_are_gone_are_forgotten() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(3000):
        queue.settle(queue.start(queue.lane(Tenant(f"t{number}")), 10), 10)
    assert len(queue._lanes) <= 1100
