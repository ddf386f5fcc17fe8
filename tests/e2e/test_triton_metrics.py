"""Triton's own endpoint ``/metrics`` on a real server."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gemma4_client import Client, InvalidRequestError
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_runtime.restarts import RESTART_REASONS
from gemma4_testing.faults.cell import find
from gemma4_testing.servers.running_gateway import RunningGateway
from gemma4_testing.servers.scrape import Values, scrape, settled, value
from gemma4_testing.servers.served import Served


@pytest.fixture(scope="module")
def server(engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that no gateway of other tests probes: probes are refused, and refusals are counted."""
    served = Served(engines / "f32", tmp_path_factory.mktemp("run"))
    yield served
    served.stop()


def after(server: Served, done: Callable[[Values], bool]) -> Values:
    """What is shown once ``done`` is; values come once a second."""
    end = time.monotonic() + 10
    while not done(found := scrape(server)):
        assert time.monotonic() < end, "the metrics did not come"
        time.sleep(0.1)
    return found


def test_requests_are_counted_wherever_they_end(server: Served) -> None:
    before = settled(server)
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

    found = settled(server)
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


def test_what_a_gateway_asks_for_its_own_sake_is_not_counted(server: Served) -> None:
    """It sends a request that must be refused, at the start and each two seconds."""
    before = settled(server)
    gateway = RunningGateway(server.grpc, args=("--health-interval", "0.2"))
    try:
        found = settled(server)  # takes some seconds
    finally:
        gateway.stop()

    def failures(values: Values) -> float:
        return sum(v for (name, _), v in values.items() if name == "gemma4_request_failure_total")

    assert failures(found) == failures(before)


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
        elif family.name.startswith("gemma4_spec_decode_"):
            assert not names[family.name], "this engine does not draft"
        elif family.name == "gemma4_trace_spans_total":
            assert not names[family.name], "nobody asked for spans"
        elif family.name not in ("gemma4_request_failure_total", "gemma4_request_success_total"):
            assert names[family.name], family.name
    assert value(found, "gemma4_slots") == 8
    assert time.time() - value(found, "gemma4_last_update_timestamp_seconds") < 10
    assert names["gemma4_engine_restarts_total"] == len(RESTART_REASONS)
    assert sum(name.startswith(("gemma4_", "nv_trt_llm_")) for name, _ in found) < 300


def test_nvidias_families_as_pickers_read_them(server: Served) -> None:
    found = scrape(server)
    model = {"model": "engine", "version": "1"}
    assert value(found, "nv_trt_llm_request_metrics", **model, request_type="max") == 8
    fraction = value(
        found, "nv_trt_llm_kv_cache_block_metrics", **model, kv_cache_block_type="fraction"
    )
    assert 0 <= fraction <= 1


def restarts(found: Values) -> dict[str, float]:
    name = "gemma4_engine_restarts_total"
    return {
        dict(labels)["reason"]: count for (each, labels), count in found.items() if each == name
    }


def test_restarts_are_counted_over_the_restarts_of_triton(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    try:
        none = dict.fromkeys(RESTART_REASONS, 0.0)
        assert restarts(scrape(served)) == none
        tokens = "gemma4_generation_tokens_total"
        before = value(settled(served), tokens)  # the start tries the engine
        with served.client() as client:
            client.generate("Hi", max_tokens=50).result()
        assert value(settled(served), tokens) == before + 50
        for times, how, counts in (
            (2, signal.SIGKILL, none | {"crashed": 1}),
            (3, signal.SIGSTOP, none | {"crashed": 1, "frozen": 1}),
        ):
            victim = find(served.process.pid, "engine")
            assert victim is not None
            victim.send_signal(how)
            served.wait_for("Ctrl-C stops", times=times)
            found = after(served, lambda found: len(restarts(found)) == len(RESTART_REASONS))
            assert restarts(found) == counts
            assert value(found, tokens) < 50, "everything else begins anew"
            assert time.time() - value(found, "gemma4_last_update_timestamp_seconds") < 10
    finally:
        served.stop()
