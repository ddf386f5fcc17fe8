"""What is counted for a request of the synthetic engine."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from gemma4_runtime.engines.base import EngineInfo, EngineStats
from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.restarts import RESTART_REASONS
from gemma4_runtime.server.engine_metrics import EngineMetrics
from gemma4_runtime.server.streams.record import RequestRecord

INFO = EngineInfo("synthetic", "1.0", "none", 8, 16, 4096, 2000)


def made(info: EngineInfo = INFO, **restarts: int) -> EngineMetrics:
    counts = {reason: restarts.get(reason, 0) for reason in RESTART_REASONS}
    return EngineMetrics(info, version="0.2.0", model_name="demo", restarts=counts)


def values(metrics: EngineMetrics) -> dict[str, float]:
    found = {}
    for family, suffix, labels, value in metrics.store.samples():
        names = ("le",) if suffix == "_bucket" else family.labels
        text = ",".join(f"{name}={label}" for name, label in zip(names, labels, strict=True))
        found[f"{family.name}{suffix}" + (f"{{{text}}}" if text else "")] = value
    return found


def record(**changes: object) -> RequestRecord:
    given: dict[str, object] = {
        "request_id": "", "key": "k", "status": "OK", "code": "", "finish_reason": "stop",
        "message": "",
        "prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 10, "chunks": 5,
        "streamed": True,
        "prepare_s": 0.1, "queue_s": 0.2, "prefill_s": 0.3, "decode_s": 2.0, "ttft_s": 0.5,
        "total_s": 2.5,
    }  # fmt: skip
    return RequestRecord(**(given | changes))  # type: ignore[arg-type]


def test_an_answer() -> None:
    metrics = made()
    metrics.ended(record())
    found = values(metrics)
    assert found["gemma4_request_success_total{finished_reason=stop}"] == 1
    assert found["gemma4_time_to_first_token_seconds_sum"] == pytest.approx(0.6)
    assert found["gemma4_e2e_request_latency_seconds_sum"] == pytest.approx(2.6)
    assert found["gemma4_request_decode_time_seconds_sum"] == 2.0
    assert found["gemma4_request_prompt_tokens_bucket{le=100.0}"] == 1
    assert found["gemma4_request_prompt_tokens_bucket{le=50.0}"] == 0
    assert found["gemma4_chunks_total"] == 5


def test_only_streams_tell_whether_readers_lag() -> None:
    metrics = made()
    metrics.ended(record())
    metrics.ended(record(streamed=False, chunks=1))
    metrics.ended(record(status="CANCELLED", code="client_cancelled", finish_reason=""))
    found = values(metrics)
    assert found["gemma4_streamed_tokens_total"] == 40
    assert found["gemma4_streamed_chunks_total"] == 10
    assert found["gemma4_chunks_total"] == 11


def test_an_error_has_no_times_of_answers() -> None:
    metrics = made()
    metrics.ended(record(status="CANCELLED", code="client_cancelled", finish_reason=""))
    full = {"status": "UNAVAILABLE", "code": "queue_full", "ttft_s": 0.0, "chunks": 0}
    metrics.ended(record(finish_reason="", **full))
    metrics.refused(invalid(Code.OUT_OF_RANGE, "top_p", "must be at most 1"))
    found = values(metrics)
    for status, code in (
        ("CANCELLED", "client_cancelled"),
        ("UNAVAILABLE", "queue_full"),
        ("INVALID_ARGUMENT", "out_of_range"),
    ):
        labels = f"status={status},code={code},step=engine"
        assert found[f"gemma4_request_failure_total{{{labels}}}"] == 1
    assert found["gemma4_e2e_request_latency_seconds_count"] == 0
    assert found["gemma4_time_to_first_token_seconds_count"] == 1  # of the cancelled one


def test_tokens_of_a_chunk_share_its_time() -> None:
    metrics = made()
    metrics.tokens(4, 0.08)
    metrics.tokens(0, 5.0)
    found = values(metrics)
    assert found["gemma4_inter_token_latency_seconds_count"] == 4
    assert found["gemma4_inter_token_latency_seconds_sum"] == pytest.approx(0.08)
    assert found["gemma4_inter_token_latency_seconds_bucket{le=0.025}"] == 4


def stats(**changes: int) -> EngineStats:
    given: dict[str, int] = dict.fromkeys(
        ("submitted", "finished", "cancelled", "failed", "prompt_tokens", "cached_tokens",
         "generated_tokens"), 0,
    )  # fmt: skip
    given |= {"active": 6, "queued": 3, "slots": 8, "max_queued": 16} | changes
    return EngineStats(**given, draining=False, lost=False)


@pytest.mark.parametrize(
    ("changes", "share", "blocks"),
    [
        ({}, 0.75, 8),
        ({"kv_blocks": 1000, "kv_blocks_used": 250, "kv_block_tokens": 32}, 0.25, 1000),
    ],
)
def test_the_kv_cache_of_both_kinds(changes: dict[str, int], share: float, blocks: int) -> None:
    metrics = made()
    metrics.state(stats(**changes))
    found = values(metrics)
    name = "nv_trt_llm_kv_cache_block_metrics{{model=engine,version=1,kv_cache_block_type={}}}"
    assert found["gemma4_kv_cache_usage_perc"] == found[name.format("fraction")] == share
    assert found[name.format("max")] == blocks
    assert found[name.format("tokens_per")] == changes.get("kv_block_tokens", 4096)
    assert found[name.format("used")] + found[name.format("free")] == blocks


def test_requests_by_nvidias_names() -> None:
    metrics = made()
    metrics.state(stats())
    found = values(metrics)
    name = "nv_trt_llm_request_metrics{{model=engine,version=1,request_type={}}}"
    kinds = {kind: found[name.format(kind)] for kind in ("active", "scheduled", "waiting", "max")}
    assert kinds == {"active": 6, "scheduled": 6, "waiting": 3, "max": 8}
    assert found["gemma4_num_requests_waiting"] == 3


def test_restarts_of_every_reason_are_there_from_the_start() -> None:
    found = values(made(frozen=2))
    name = "gemma4_engine_restarts_total{{reason={}}}"
    counts = {reason: found[name.format(reason)] for reason in RESTART_REASONS}
    assert counts == {"crashed": 0, "frozen": 2, "stuck": 0, "start_failed": 0}


def test_the_time_of_the_last_update() -> None:
    metrics = made()
    assert values(metrics)["gemma4_last_update_timestamp_seconds"] == 0
    before = time.time()
    metrics.state(stats())
    assert before <= values(metrics)["gemma4_last_update_timestamp_seconds"] <= time.time()


def test_drafts_where_the_engine_drafts() -> None:
    names = [f"gemma4_spec_decode_num_{x}_total" for x in
             ("drafts", "draft_tokens", "accepted_tokens")]  # fmt: skip
    metrics = made()
    metrics.state(stats(drafts=4, draft_tokens=12, accepted_tokens=7))
    assert not values(metrics).keys() & set(names)
    metrics = made(replace(INFO, speculative=True))
    assert [values(metrics)[name] for name in names] == [0, 0, 0]
    metrics.state(stats(drafts=4, draft_tokens=12, accepted_tokens=7))
    assert [values(metrics)[name] for name in names] == [4, 12, 7]
