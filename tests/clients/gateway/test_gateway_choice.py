"""Which back end: prefix affinity, bounded by imbalance."""

from __future__ import annotations

from dataclasses import dataclass

from gemma4_gateway.backends.affinity import choose
from hypothesis import given
from hypothesis import strategies as st


@dataclass
class Back:
    address: str
    outstanding: int = 0


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
    assert chosen.outstanding <= min(outstanding) + imbalance


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
