"""What is sent to Triton, by a family that records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar, Literal

import pytest
from gemma4_runtime.metrics.families import Family
from gemma4_runtime.metrics.publisher import AT_REST, Publisher
from gemma4_runtime.metrics.store import Store

MANY = 5
MADE = (
    Family("t_seconds", "histogram", "h", buckets=(1.0,), few=MANY),
    Family("t_total", "counter", "c", labels=("a",)),
    Family("t", "gauge", "g"),
)


class Recorded:
    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        self.value, self.calls = 0.0, 0

    def increment(self, value: float) -> None:
        assert self.kind == "counter" and value > 0
        self.value += value
        self.calls += 1

    def set(self, value: float) -> None:
        assert self.kind == "gauge"
        self.value = value
        self.calls += 1


class Families:
    """As ``pb_utils.MetricFamily``: calling it makes a family."""

    COUNTER, GAUGE = "counter", "gauge"
    made: ClassVar[dict[str, Recorded]] = {}
    broken = False

    def __init__(self, *, name: str, description: str, kind: str) -> None:
        assert description
        self._name, self._kind = name, kind

    def Metric(self, *, labels: Mapping[str, str]) -> Recorded:  # noqa: N802 - Triton's name
        if Families.broken:
            raise RuntimeError("Triton has gone")
        text = ",".join(f"{name}={value}" for name, value in labels.items())
        key = f"{self._name}{{{text}}}" if text else self._name
        assert key not in Families.made, "a metric is made once"
        Families.made[key] = Recorded(self._kind, key)
        return Families.made[key]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Families, "made", {})


def test_values_arrive_once() -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, interval=1000)
    store.observe("t_seconds", 0.5)
    store.observe("t_seconds", 3.0)
    store.add("t_total", 2, "x")
    store.set("t", 7)
    publisher.publish()
    publisher.publish()
    publisher.close()
    assert {name: (metric.value, metric.calls) for name, metric in Families.made.items()} == {
        "t_seconds_bucket{le=1.0}": (1, 1),
        "t_seconds_bucket{le=+Inf}": (2, 1),
        "t_seconds_sum": (3.5, 1),
        "t_seconds_count": (2, 1),
        "t_total{a=x}": (2, 1),
        "t": (7, 2),  # 0 at the start
    }
    store.set("t", 0)
    publisher.publish()
    assert Families.made["t"].value == 0


def test_the_thread_sends_and_asks_for_gauges() -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, refresh=lambda: store.set("t", 3), interval=0.01)
    store.add("t_total", 1, "x")
    end = time.monotonic() + 10
    while "t_total{a=x}" not in Families.made and time.monotonic() < end:
        time.sleep(0.005)
    publisher.close()
    assert Families.made["t"].value == 3 and Families.made["t_total{a=x}"].value == 1


def test_histograms_go_with_some_updates_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, interval=1000)
    asked: list[str] = []
    monkeypatch.setattr(publisher, "publish", asked.append)
    monkeypatch.setattr(publisher._over, "wait", lambda interval: len(asked) == 7)
    monkeypatch.setattr("gemma4_runtime.metrics.publisher.HISTOGRAMS_EVERY", 3)
    publisher._run()
    assert asked == ["none", "none", "due"] * 2 + ["none"]


def test_a_histogram_is_sent_when_it_has_changed_only() -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, interval=1000)
    store.observe("t_seconds", 0.5)
    publisher.publish("none")
    assert "t_seconds_count" not in Families.made or not Families.made["t_seconds_count"].value
    publisher.publish()
    assert Families.made["t_seconds_count"].value == 1
    assert not store.take_distributions(only_due=False)


@pytest.mark.parametrize(
    ("values", "sent"),
    [
        ([MANY] * 4, [1, 2, 3, 4]),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 4, 4, 4, 4, 8, 8]),
        ([1, 0, 0], [0, 1, 1]),
        ([0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 1]),
        ([1, MANY - 1, 1, 0], [0, MANY, MANY, MANY + 1]),
    ],
    ids=["many", "a few all the time", "a few, then none", "the first after a rest", "enough"],
)
def test_a_few_values_wait_for_others(values: list[int], sent: list[int]) -> None:
    """``values`` that come before each turn of the histograms; how many Triton knows after it."""
    store = Store(MADE)
    publisher = Publisher(store, Families, interval=1000)
    shown = []
    for times in values:
        store.observe("t_seconds", 0.5, times)
        publisher.publish("due")
        shown.append(Families.made["t_seconds_count"].value)
    publisher.close()
    assert shown == [MANY * count for count in sent] if values[0] == MANY else shown == sent


@pytest.mark.parametrize("histograms", ["none", "due"])
def test_all_histograms_go_once_at_rest(histograms: Literal["none", "due"]) -> None:
    """A rare request's values are not held back for others that do not come."""
    store = Store((*MADE, Family("u_seconds", "histogram", "h", buckets=(1.0,), few=MANY)))
    publisher = Publisher(store, Families, interval=1000)
    for name in ("t_seconds", "u_seconds"):
        store.observe(name, 0.5)
        for update in range(AT_REST):
            known = [Families.made[f"{each}_count"].value for each in ("t_seconds", "u_seconds")]
            assert known == [name == "u_seconds", 0] or (histograms == "due" and update)
            publisher.publish(histograms)
        publisher.publish(histograms)
        assert Families.made[f"{name}_count"].value == 1
    calls = {name: metric.calls for name, metric in Families.made.items()}
    for _ in range(2 * AT_REST):
        publisher.publish(histograms)
    publisher.close()
    assert calls == {name: metric.calls for name, metric in Families.made.items()}


def test_what_has_not_changed_costs_no_message() -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, refresh=lambda: store.set("t", 5), interval=1000)
    store.add("t_total", 1, "x")
    for _ in range(5):
        publisher.publish("due")
    publisher.close()
    calls = {name: metric.calls for name, metric in Families.made.items()}
    assert calls.pop("t") == calls.pop("t_total{a=x}") == 1
    assert not any(calls.values()), calls


def test_a_triton_without_metrics_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Families, "broken", True)
    publisher = Publisher(Store(MADE), Families, interval=0.01)
    publisher._thread.join(10)
    assert not publisher._thread.is_alive() and not Families.made
    publisher.close()


def test_a_triton_that_fails_ends_the_metrics_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store = Store(MADE)
    publisher = Publisher(store, Families, interval=0.01)
    monkeypatch.setattr(Families, "broken", True)
    store.add("t_total", 1, "x")
    publisher._thread.join(10)
    assert not publisher._thread.is_alive()
    publisher.close()
