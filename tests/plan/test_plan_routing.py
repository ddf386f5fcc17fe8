"""The simulation's routing is the gateway's: the same spread of choices, the same balance."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
from gemma4_gateway.backends.affinity import choose
from gemma4_load.workloads.lengths import Length
from gemma4_plan.simulate import Fleet, Gateway, Replica, Slos, Traffic, simulate
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.routing import Router, jump, jumps
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = np.random.default_rng(5).integers(0, 2**64, 20_000, dtype=np.uint64)


@dataclass
class Backend:
    address: str
    load: int = 0


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_jumps_are_jump_of_each(count: int) -> None:
    assert jumps(KEYS[:500], count) == [jump(int(key), count) for key in KEYS[:500]]


@pytest.mark.parametrize("count", [2, 5, 16])
def test_heads_spread_as_evenly_as_the_gateways(count: int) -> None:
    ours = Counter(map(str, jumps(KEYS, count)))
    backends = [Backend(f"10.0.0.{n}:8001") for n in range(count)]
    theirs = Counter(
        choose(backends, int(key).to_bytes(8), imbalance=8).address for key in KEYS[:4000]
    )
    for found, total in ((ours, len(KEYS)), (theirs, 4000)):
        mean = total / count
        chi_square = sum((found[name] - mean) ** 2 / mean for name in found)
        assert len(found) == count
        assert chi_square < count + 6 * np.sqrt(2 * count)


def test_a_replica_that_comes_moves_only_its_own_share() -> None:
    for count in (3, 17):
        before, after = jumps(KEYS, count), jumps(KEYS, count + 1)
        moved = [new for old, new in zip(before, after, strict=True) if old != new]
        assert set(moved) == {count}
        assert len(moved) / len(KEYS) == pytest.approx(1 / (count + 1), rel=0.1)


@given(
    loads=st.lists(st.integers(0, 30), min_size=1, max_size=12), imbalance=st.integers(0, 10),
    key=st.integers(0, 2**64 - 1), closed=st.sets(st.integers(0, 11)),
)  # fmt: skip
@settings(max_examples=300)
def test_the_balance_is_the_gateways(
    loads: list[int], imbalance: int, key: int, closed: set[int]
) -> None:
    """Whether the preferred replica or a least busy one gets the request; and one that takes none
    never does."""
    router = Router(len(loads), imbalance)
    for replica, load in enumerate(loads):
        router.open(replica)
        for _ in range(load):
            router.lease(replica)
        if replica in closed:
            router.close(replica)
    there = [replica for replica in range(len(loads)) if replica not in closed]
    preferred = jump(key, len(loads))
    chosen = router.pick(preferred, key, len(loads), 0.0, frozenset())
    if not there:
        assert chosen is None
        return
    assert chosen in there
    least = min(loads[replica] for replica in there)
    if preferred in there:
        backends = [Backend(str(replica), loads[replica]) for replica in there]
        # A key with which the gateway prefers the same one.
        affinity = next(
            text for text in (str(n).encode() for n in range(10_000))
            if choose([Backend(b.address) for b in backends], text, imbalance=0).address
            == str(preferred)
        )  # fmt: skip
        theirs = int(choose(backends, affinity, imbalance=imbalance).address)
        assert loads[chosen] == loads[theirs]
        assert (chosen == preferred) == (loads[preferred] - least <= imbalance) or (
            loads[preferred] == least
        )
    else:
        assert loads[chosen] - least <= imbalance


def test_a_full_replica_is_avoided_twice_as_long_each_time() -> None:
    router = Router(2, 100)
    for replica in (0, 1):
        router.open(replica)
    now = 0.0
    for pause in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2):
        assert router.pick(0, 1, 2, now, frozenset()) == 0
        router.refused(0, now)
        assert router.pick(0, 1, 2, now, frozenset({0})) == 1
        assert router.pick(0, 1, 2, now + 0.99 * pause, frozenset()) == 1
        now += pause
    assert router.pick(0, 1, 2, now, frozenset()) == 0
    router.succeeded(0)
    router.refused(0, now)
    assert router.pick(0, 1, 2, now + 0.11, frozenset()) == 0


def test_nobody_is_asked_twice() -> None:
    router = Router(3, 8)
    for replica in range(3):
        router.open(replica)
    tried: frozenset[int] = frozenset()
    for _ in range(3):
        chosen = router.pick(1, 7, 3, 0.0, tried)
        assert chosen is not None and chosen not in tried
        router.refused(chosen, 0.0)
        tried |= {chosen}
    assert router.pick(1, 7, 3, 0.0, tried) is None


def test_the_requests_of_other_gateways_count_as_of_the_last_look() -> None:
    loads = [0, 0, 0, 0]
    preferred, key = jump(11, 4), 11
    router = Router(4, 8, loads=loads)
    for replica in range(4):
        router.open(replica)
    assert router.pick(preferred, key, 4, 0.0, frozenset()) == preferred
    loads[preferred] = 9  # of others
    assert router.pick(preferred, key, 4, 1.9, frozenset()) == preferred, "not seen yet"
    chosen = router.pick(preferred, key, 4, 2.0, frozenset())
    assert chosen is not None and chosen != preferred
    for replica in {0, 1, 2, 3} - {preferred}:
        router.lease(replica)  # one of its own counts at once
    assert router.pick(preferred, key, 4, 2.1, frozenset()) == preferred
    router.close(preferred)
    assert router.pick(preferred, key, 4, 4.0, frozenset()) not in (None, preferred)


def test_gateways_turn_to_different_ones() -> None:
    chosen = set()
    for number in range(25):
        router = Router(100, 8, loads=[9 if at == 7 else 0 for at in range(100)],
                        salt=int(number / 25 * 2**64))  # fmt: skip
        for replica in range(100):
            router.open(replica)
        chosen.add(router.pick(7, 12345, 100, 0.0, frozenset()))
    assert len(chosen) == 25 and 7 not in chosen


def test_many_gateways_and_one_head_do_not_pile_up() -> None:
    """25 gateways, 100 replicas, one system prompt for all: 55 % kept the SLOs when each gateway
    knew its own requests only."""
    pace = MeasuredSteps(StepFile.model_validate({
        "measured": "made up", "decode": [[1, 0.005], [200, 0.12]], "prefill": [[1, 0.005], [8000, 0.3]],
        "slots": 200, "step_tokens": 8192,
    }))  # fmt: skip
    traffic = Traffic(
        rates=((0.0, 100.0), (60.0, 100.0)), prompt=Length("fixed", 3000),
        output=Length("fixed", 150), shared_prefixes=1, prefix_tokens=1000,
        slos=Slos(ttft_s=1.0, itl_s=0.03),
    )  # fmt: skip
    kept = {}
    for gateways in (1, 25):
        fleet = Fleet(replica=Replica(pace=pace, slots=200), replicas=100,
                      gateway=Gateway(gateways=gateways))  # fmt: skip
        kept[gateways] = simulate(traffic, fleet, most_requests=math.inf).attainment
    assert kept[1] > 0.95 and kept[25] > kept[1] - 0.06, kept
