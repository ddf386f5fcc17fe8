"""Which back end: prefix affinity, bounded by imbalance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gemma4_gateway.backends.affinity import choose
from gemma4_gateway.backends.backend import Backend
from hypothesis import given
from hypothesis import strategies as st


@dataclass
class Back:
    address: str
    load: int = 0


def backs(*outstanding: int) -> list[Back]:
    return [Back(f"10.0.0.{i}:8001", n) for i, n in enumerate(outstanding)]


AFFINITY = st.binary(min_size=8, max_size=8)


@given(AFFINITY, st.permutations(range(4)))
def test_the_same_prefix_goes_to_the_same_back_end(affinity: bytes, order: list[int]) -> None:
    group = backs(0, 0, 0, 0)
    chosen = choose(group, affinity, imbalance=8)
    assert choose([group[i] for i in order], affinity, imbalance=8) is chosen


@given(AFFINITY, st.lists(st.integers(0, 100), min_size=1, max_size=6), st.integers(0, 10))
def test_no_back_end_gets_more_than_the_imbalance_ahead(
    affinity: bytes, outstanding: list[int], imbalance: int
) -> None:
    chosen = choose(backs(*outstanding), affinity, imbalance=imbalance)
    assert chosen.load <= min(outstanding) + imbalance


@given(AFFINITY, st.integers(0, 3))
def test_a_lost_back_end_moves_only_its_own_share(affinity: bytes, lost: int) -> None:
    group = backs(0, 0, 0, 0)
    before = choose(group, affinity, imbalance=8)
    after = choose([b for i, b in enumerate(group) if i != lost], affinity, imbalance=8)
    assert after is before or group.index(before) == lost


def test_prefixes_spread() -> None:
    group = backs(0, 0, 0, 0)
    counts = dict.fromkeys((b.address for b in group), 0)
    for i in range(2000):
        counts[choose(group, i.to_bytes(8, "little"), imbalance=8).address] += 1
    assert min(counts.values()) > 400


def test_gateways_turn_to_different_ones_when_the_preferred_is_busy() -> None:
    """All of them see the same: the preferred one has too many. Each salt is a gateway."""
    group = backs(*[0] * 20)
    preferred = choose(group, b"one head", imbalance=8)
    preferred.load = 9
    salts = [i.to_bytes(8, "little") for i in range(100)]
    chosen = [choose(group, b"one head", imbalance=8, salt=salt).address for salt in salts]
    assert preferred.address not in chosen
    counts = Counter(chosen)
    assert len(counts) == 19 and max(counts.values()) < 20
    assert choose(group, b"one head", imbalance=8, salt=salts[0]).address == chosen[0]
    assert {choose(group, b"one head", imbalance=9, salt=salt).address for salt in salts} == {
        preferred.address
    }


def test_the_requests_of_others_count() -> None:
    one, other = Backend("10.0.0.1:8001"), Backend("10.0.0.2:8001")
    preferred = choose([one, other], b"head", imbalance=8)
    rest = other if preferred is one else one
    preferred.elsewhere = 9
    assert choose([one, other], b"head", imbalance=8) is rest
    lease = rest.lease()
    assert choose([one, other], b"head", imbalance=8) is preferred
    lease.release()
    assert preferred.mark(ready=True)
    assert preferred.mark(ready=False, reason="gone") and preferred.load == 0
