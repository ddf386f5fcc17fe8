"""What a plan says of hosts: it agrees with what was measured, and with the bytes of our code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gemma4_gateway.answers.chat_events import ChatEvents
from gemma4_gateway.translate.request_plan import EngineCall, Plan
from gemma4_plan.host import costs as host
from gemma4_plan.host.costs import HostCosts, host_costs
from gemma4_plan.host.figures import read_figures
from gemma4_plan.host.shown import host_json, host_line
from gemma4_plan.span import Span
from gemma4_runtime.output.render import ChunkText, pack_many
from gemma4_testing.cases.gateway_answers import delta
from hypothesis import given
from hypothesis import strategies as st

RESULTS = (Path(__file__).parents[2] / "bench" / "RESULTS.md").read_text(encoding="utf-8")
PACKET = 14 + 20 + 32
"""Bytes of Ethernet, IPv4 and TCP with time stamps."""


def costs(rate: float = 20, *, output: float = 512, copies: int = 1) -> HostCosts:
    return host_costs(
        requests_per_s=rate, prompt=1024, output=output, copies=copies, at_once=rate * 10
    )


def test_two_cores_carry_twelve_thousand_tokens() -> None:
    """bench/RESULTS.md: 256 streams, 12,259 tokens/s through the gateway on two full cores, of
    which the load generator took a part."""
    found = host_costs(
        requests_per_s=12_259 / 800, prompt=100, output=800, copies=1, at_once=256
    )  # fmt: skip
    low = found.triton_cores.low + found.gateway_cores.low
    high = found.triton_cores.high + found.gateway_cores.high
    assert 1.4 < low < 2 < high < 2.3


def test_the_figures_are_those_of_the_results() -> None:
    quiet, slow = read_figures().runs
    for point in quiet.points:
        for topology, cost in (
            ("client", point.triton_ms), ("gateway", point.triton_ms + point.gateway_ms),
        ):  # fmt: skip
            row = re.search(rf"\| {topology} \| {point.streams} \| ([\d,]+) .* (\d+) \|\n", RESULTS)
            assert row and int(row[2]) == cost
            if topology == "client":
                assert int(row[1].replace(",", "")) == point.tokens_per_s
    for at, point in enumerate(slow.points, 1):
        cells = {
            name: re.search(rf"\| `{name}` \|" + r" (\d+)/(\d+) \|" * at, RESULTS)
            for name in ("client", "gateway")
        }
        means = {}
        for name, found in cells.items():
            assert found is not None
            means[name] = (int(found[2 * at - 1]) + int(found[2 * at])) / 2
        assert means["client"] == pytest.approx(point.triton_ms)
        assert means["gateway"] - means["client"] == pytest.approx(point.gateway_ms, abs=0.6)
    for idle in read_figures().requests.points:
        row = re.search(rf"\| {idle.prompt:,.0f} \| ([\d.]+) \|.* ([\d.]+) \|\n", RESULTS)
        assert row and (float(row[1]), float(row[2])) == (idle.tokenizing_ms, idle.added_ms)


@pytest.mark.parametrize(("model", "text"), [("gemma-4", " the"), ("gemma-4", " international")])
def test_the_bytes_of_an_event(model: str, text: str) -> None:
    plan = Plan(model=model, calls=[EngineCall(None, "Hi", None, {})], stream=True, affinity=b"")
    events = ChatEvents(plan, answer_id="chatcmpl-" + "0" * 32, created=1_764_460_000)
    events.chunk(0, delta("a"), None)
    event = events.chunk(0, delta(text), None)
    framed = len(event) + len(f"{len(event):x}") + 4
    assert host.EVENT_BYTES.low <= framed + 2
    assert framed + PACKET <= host.EVENT_BYTES.high


def test_the_bytes_of_a_chunk() -> None:
    for text, number in ((" the", 1), (" international", 10**9)):
        packed = pack_many([
            (number, ChunkText(text_output=text, chunk_index=500, prompt_tokens=1024,
                               completion_tokens=500, output_ids=[123_456],
                               text_tokens=[(len(text), 1)])),
        ])  # fmt: skip
        assert host.CHUNK_BYTES.low <= len(packed)
        assert len(packed) + PACKET + 20 <= host.CHUNK_BYTES.high


@given(st.floats(0.001, 1e5), st.floats(1, 1e4), st.integers(1, 2000), st.floats(1.01, 3))
def test_more_requests_never_take_less(
    rate: float, output: float, copies: int, more: float
) -> None:
    few, many = (
        costs(rate, output=output, copies=copies),
        costs(rate * more, output=output, copies=copies),
    )
    assert many.gateways >= few.gateways
    assert many.to_clients.low > few.to_clients.low
    assert many.triton_cores.high >= few.triton_cores.high * 0.999
    each = many.gateway_cores.high / many.gateways
    assert each <= 0.7 + 1e-9


def test_what_is_shown() -> None:
    found = costs()
    said = host_line(found)
    assert said.startswith("hosts, 10,240 tokens/s: Triton ")
    assert "MB/s to clients" in said and "2 and a spare one" in said
    as_json = host_json(found)
    assert as_json["bytes_per_s_to_clients"] == [20 * 512 * 250, 20 * 512 * 340]
    assert len(as_json["sources"]) == 3
    assert isinstance(found.prompts, Span)
