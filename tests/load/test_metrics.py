"""Every metric against a trace that was worked out by hand."""

from __future__ import annotations

import pytest
from gemma4_load.load_plan import parse_slo
from gemma4_load.metrics import REQUEST_METRICS, RUN_METRICS
from gemma4_load.metrics.distribution import distribution
from gemma4_load.record import Window
from gemma4_testing.cases.load_records import record

BY_HAND = {
    "ttft": [1.0],  # 2.0 - 1.0, from the plan, not from 1.25
    "itl": [0.4],  # (4.0 - 2.0) / 5
    "inter_chunk": [0.5, 1.0],
    "tpot": [0.5],  # 3.0 / 6
    "latency": [3.0],
    "queue_time": [0.125],
    "prefill_time": [0.5],
    "decode_time": [1.75],
    "user_throughput": [2.5],
    "prompt_tokens": [10.0],
    "output_tokens": [6.0],
    "send_lag": [0.25],
}


def test_every_metric_is_here() -> None:
    assert BY_HAND.keys() == REQUEST_METRICS.keys()
    assert RUN_BY_HAND.keys() == RUN_METRICS.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_of_a_request(name: str) -> None:
    assert REQUEST_METRICS[name].values(record()) == pytest.approx(BY_HAND[name])


@pytest.mark.parametrize("name", ["ttft", "itl", "inter_chunk", "user_throughput"])
def test_no_chunk_no_value(name: str) -> None:
    silent = record(arrivals=[], tokens=[], output_tokens=0)
    assert list(REQUEST_METRICS[name].values(silent)) == []


def test_one_token_has_no_itl_and_no_time_of_the_server_where_none_is_told() -> None:
    one = record(arrivals=[2.0], tokens=[1], output_tokens=1, queue=None, prefill=None,
                 decode=None)  # fmt: skip
    assert REQUEST_METRICS["itl"].values(one) == []
    for name in ("queue_time", "prefill_time", "decode_time"):
        assert REQUEST_METRICS[name].values(one) == []
    assert REQUEST_METRICS["tpot"].values(record(output_tokens=0)) == []


# Window 2 to 6 s. a: due before it, its chunks of 1 and 3 tokens at 2.5 and 3.5 and that of 2 at 2.0
# inside. b: due at 3, chunks at 4 and 5 (1 token each) and at 7 (5 tokens, outside), over at 7.
# c: failed, due at 3. d: this client left, due at 5.
WINDOW = Window(2.0, 6.0)
RECORDS = [
    record(0),
    record(1, scheduled=3.0, sent=3.0, arrivals=[4.0, 5.0, 7.0], tokens=[1, 1, 5], end=7.0,
           output_tokens=7, prompt_tokens=20),
    record(2, scheduled=3.0, sent=3.0, arrivals=[], tokens=[], end=3.5, status="UNAVAILABLE",
           output_tokens=0, prompt_tokens=0),
    record(3, scheduled=5.0, sent=5.0, arrivals=[5.5], tokens=[1], end=5.5, left=True,
           output_tokens=1, prompt_tokens=8),
]  # fmt: skip
RUN_BY_HAND = {
    "output_throughput": (6 + 2 + 1) / 4,
    "total_throughput": (9 + 10 + 20 + 8) / 4,
    "request_throughput": 1 / 4,  # a alone is whole and ended inside
    "goodput": 1 / 4,  # a's latency is 3 s
    "attainment": 0 / 2,  # due inside, not left: b (4 s) and c (failed)
    "error_rate": 1 / 3,
    "in_flight": (2.0 + 3.0 + 0.5 + 0.5) / 4,
}


@pytest.mark.parametrize("name", RUN_BY_HAND)
def test_of_a_run(name: str) -> None:
    slos = [parse_slo("latency=3s")]
    assert RUN_METRICS[name].value(RECORDS, WINDOW, slos) == pytest.approx(RUN_BY_HAND[name])


@pytest.mark.parametrize("name", ["goodput", "attainment"])
def test_without_slos(name: str) -> None:
    assert RUN_METRICS[name].value(RECORDS, WINDOW, []) is None


def test_attainment_counts_a_kept_slo() -> None:
    assert RUN_METRICS["attainment"].value(RECORDS, WINDOW, [parse_slo("latency=4s")]) == 0.5
    slow_user = parse_slo("user_throughput=2.1")  # b: 1 / (3 / 6) = 2
    assert RUN_METRICS["attainment"].value(RECORDS[1:2], WINDOW, [slow_user]) == 0
    assert RUN_METRICS["goodput"].value(RECORDS[:1], WINDOW, [slow_user]) == 0.25


def test_every_gap_has_to_keep_an_inter_chunk_slo() -> None:
    assert RUN_METRICS["goodput"].value(RECORDS[:1], WINDOW, [parse_slo("inter_chunk=999ms")]) == 0
    assert RUN_METRICS["goodput"].value(RECORDS[:1], WINDOW, [parse_slo("inter_chunk=1s")]) == 0.25


def test_tokens_that_are_told_at_the_end_are_shared_by_the_chunks() -> None:
    told_late = record(tokens=[0, 0, 0], output_tokens=6)
    told_late.spread_tokens()
    assert told_late.tokens == [2, 2, 2]
    left = record(tokens=[0, 0, 0], output_tokens=0)
    left.spread_tokens()
    assert left.tokens == [1, 1, 1]
    counted = record()
    counted.spread_tokens()
    assert counted.tokens == [2, 1, 3]


def test_distribution() -> None:
    found = distribution([4.0, 1.0, 2.0, 3.0, 5.0])
    assert found is not None
    assert (found.count, found.mean, found.min, found.p50, found.max) == (5, 3.0, 1.0, 3.0, 5.0)
    assert found.p90 == pytest.approx(4.6)  # between the 4th and 5th value, 0.6 of the way
    assert found.std == pytest.approx(2**0.5)
    assert found.quantiles[100] == 3.0
    assert distribution([]) is None
