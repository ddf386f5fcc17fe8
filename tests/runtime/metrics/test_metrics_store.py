"""Values of metrics, against Prometheus's own client library."""

from __future__ import annotations

import math
import threading

import pytest
from gemma4_runtime.metrics.families import FAMILIES, Family
from gemma4_runtime.metrics.store import Store
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

BUCKETS = (0.5, 1.0, 10.0)
MADE = (
    Family("t_seconds", "histogram", "h", buckets=BUCKETS),
    Family("t_total", "counter", "c"),
    Family("t_by_total", "counter", "c", labels=("a", "b")),
)


def values(store: Store) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (family.name + suffix, labels): value for family, suffix, labels, value in store.samples()
    }


@given(st.lists(st.floats(min_value=0, max_value=20) | st.sampled_from(BUCKETS)))
def test_histograms_are_those_of_the_client_library(observed: list[float]) -> None:
    store = Store(MADE)
    registry = CollectorRegistry()
    theirs = Histogram("t_seconds", "h", buckets=BUCKETS, registry=registry)
    for value in observed:
        store.observe("t_seconds", value)
        theirs.observe(value)
    ours = values(store)
    for metric in registry.collect():
        for sample in metric.samples:
            if not sample.name.endswith("_created"):
                assert ours[sample.name, tuple(sample.labels.values())] == pytest.approx(
                    sample.value
                )


def test_many_at_once() -> None:
    store = Store(MADE)
    store.observe("t_seconds", 2.0, times=5)
    found = values(store)
    assert found["t_seconds_count", ()] == found["t_seconds_bucket", ("10.0",)] == 5
    assert found["t_seconds_sum", ()] == 10.0


def test_what_has_no_labels_is_there_from_the_start() -> None:
    found = values(Store(MADE))
    assert found["t_total", ()] == found["t_seconds_count", ()] == 0
    assert not [name for name, _ in found if name == "t_by_total"]


@given(st.lists(st.tuples(st.sampled_from("xy"), st.integers(0, 2), st.booleans()), max_size=20))
def test_what_is_taken_is_what_has_changed(steps: list[tuple[str, int, bool]]) -> None:
    """Setting, adding and taking in any order: who keeps what was taken knows all values."""
    store, known = Store(MADE), dict[tuple[str, tuple[str, ...]], float]()
    for label, amount, take in steps:
        store.set("t_total", amount)
        store.add("t_by_total", amount, label, "z")
        if take:
            known |= {(f.name, labels): value for f, _, labels, value in store.take_plain()}
            assert known.items() <= values(store).items()
    known |= {(f.name, labels): value for f, _, labels, value in store.take_plain()}
    assert known == {key: n for key, n in values(store).items() if not key[0].startswith("t_sec")}
    assert not store.take_plain()


def test_threads_lose_nothing() -> None:
    store = Store(MADE)

    def count() -> None:
        for _ in range(1000):
            store.add("t_by_total", 1, "x", "y")
            store.observe("t_seconds", 0.7)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = values(store)
    assert found["t_by_total", ("x", "y")] == found["t_seconds_count", ()] == 8000


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_families_keep_to_the_conventions(family: Family) -> None:
    """https://prometheus.io/docs/practices/naming: units in the name, counters end with total."""
    assert family.name.startswith(("gemma4_", "nv_trt_llm_"))
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert list(family.buckets) == sorted(set(family.buckets))
    assert bool(family.buckets) == (family.kind == "histogram")
    assert all(math.isfinite(bound) for bound in family.buckets)
    assert family.help and not family.help.endswith(".")
