"""Triton's own endpoint ``/metrics`` on a real server."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable

import pytest
from gemma4_client import Client, InvalidRequestError
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_testing.servers.served import Served

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(server: Served) -> Values:
    """Every sample by its own name: prometheus_client's parser renames counters."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    return {
        (name, frozenset(LABEL.findall(labels))): float(number)
        for name, labels, number in SAMPLE.findall(text)
    }


def value(found: Values, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0.0)


def after(server: Served, done: Callable[[Values], bool]) -> Values:
    """What is shown once ``done`` is; values come once a second."""
    end = time.monotonic() + 10
    while not done(found := scrape(server)):
        assert time.monotonic() < end, "the metrics did not come"
        time.sleep(0.1)
    return found


def test_requests_are_counted_wherever_they_end(server: Served) -> None:
    before = scrape(server)
    ok = ("gemma4_request_success_total", {"finished_reason": "length"})
    bad = {
        step: (
            "gemma4_request_failure_total",
            {"status": "INVALID_ARGUMENT", "code": "out_of_range", "step": step},
        )
        for step in ("engine", "preprocessing")
    }
    with server.client() as client, Client(f"http://127.0.0.1:{server.http}") as http:
        for _ in range(3):
            client.generate("Hi", max_tokens=5, temperature=0.0).result()
        for each in (client, http):
            with pytest.raises(InvalidRequestError):
                each.generate("Hi", max_tokens=-1).result()

    def change(found: Values, name: str, labels: dict[str, str]) -> float:
        return value(found, name, **labels) - value(before, name, **labels)

    found = after(
        server,
        lambda found: (
            change(found, *ok) >= 3 and sum(change(found, *kind) for kind in bad.values()) >= 2
        ),
    )
    assert change(found, *ok) == 3
    assert sum(change(found, *kind) for kind in bad.values()) == 2
    assert change(found, "gemma4_generation_tokens_total", {}) >= 15
    for name, count in (
        ("time_to_first_token_seconds", 3),
        ("e2e_request_latency_seconds", 3),
        ("request_prepare_time_seconds", 3),
        ("request_generation_tokens", 3),
    ):
        assert change(found, f"gemma4_{name}_count", {}) == count, name
        assert change(found, f"gemma4_{name}_bucket", {"le": "+Inf"}) == count, name
    assert change(found, "gemma4_request_generation_tokens_sum", {}) == 15
    # Tokens that come together with the first of an answer follow none.
    assert 3 <= change(found, "gemma4_inter_token_latency_seconds_count", {}) <= 12


def test_every_family_is_there_and_is_whole(server: Served) -> None:
    found = scrape(server)
    names = Counter(name for name, _ in found)
    for family in FAMILIES:
        if family.kind == "histogram":
            assert names[f"{family.name}_bucket"] == len(family.buckets) + 1
            buckets = sorted(
                (float(dict(labels)["le"]), count)
                for (name, labels), count in found.items()
                if name == f"{family.name}_bucket"
            )
            counts = [count for _, count in buckets]
            assert counts == sorted(counts)
            assert counts[-1] == value(found, f"{family.name}_count")
        elif family.name not in ("gemma4_request_failure_total", "gemma4_request_success_total"):
            assert names[family.name], family.name
    assert value(found, "gemma4_slots") == 8
    assert sum(name.startswith(("gemma4_", "nv_trt_llm_")) for name, _ in found) < 300


def test_nvidias_families_as_pickers_read_them(server: Served) -> None:
    found = scrape(server)
    model = {"model": "engine", "version": "1"}
    assert value(found, "nv_trt_llm_request_metrics", **model, request_type="max") == 8
    fraction = value(
        found, "nv_trt_llm_kv_cache_block_metrics", **model, kv_cache_block_type="fraction"
    )
    assert 0 <= fraction <= 1
