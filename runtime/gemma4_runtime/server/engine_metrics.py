"""What the ``engine`` model counts: its requests, their times, and the engine's state."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from gemma4_runtime.engines.base import EngineInfo, EngineStats
from gemma4_runtime.errors import UNKNOWN_CODE, Code, RequestError
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_runtime.metrics.store import Store
from gemma4_runtime.restarts import RestartReason
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.streams.record import RequestRecord

if TYPE_CHECKING:
    from gemma4_runtime.tracing.bounded import SpanCounts

__all__ = ["FAILURES", "EngineMetrics", "count_failure"]

FAILURES = "gemma4_request_failure_total"
_CODES = frozenset(map(str, Code))
_STEP = "engine"
_SPECULATIVE = "gemma4_spec_decode_"
"""Starts the names of families that only an engine that drafts has."""
_NV_REQUESTS, _NV_BLOCKS = "nv_trt_llm_request_metrics", "nv_trt_llm_kv_cache_block_metrics"
_NV_MODEL = ("engine", "1")
"""Triton's name and version of the model that holds the engine."""


def count_failure(store: Store, error: RequestError, step: str) -> None:
    """Count an error that the model ``step`` gives to a client."""
    _count(store, error.status.value, error.code, step)


def _count(store: Store, status: str, code: str, step: str) -> None:
    """Count by the code if it is one of ours: a label has a bounded number of values."""
    store.add(FAILURES, 1, status, code if code in _CODES else UNKNOWN_CODE, step)


class EngineMetrics:
    """Thread-safe. ``model_name`` is the checkpoint's. ``restarts`` of the server so far."""

    def __init__(
        self,
        info: EngineInfo,
        *,
        version: str,
        model_name: str,
        restarts: Mapping[RestartReason, int],
    ) -> None:
        self.store = Store(
            family
            for family in FAMILIES
            if info.speculative or not family.name.startswith(_SPECULATIVE)
        )
        self._between_tokens = self.store.distribution("gemma4_inter_token_latency_seconds")
        self._put_gap = self._between_tokens.put
        self._info = info
        self._stats: EngineStats | None = None
        self.store.set("gemma4_slots", info.slots)
        self.store.set("gemma4_max_queued", info.max_queued)
        self.store.set(
            "gemma4_build_info", 1, version, info.runtime, info.version, info.precision, model_name
        )
        for reason, count in restarts.items():
            self.store.set("gemma4_engine_restarts_total", count, reason)

    def tokens(self, count: int, since_last: float) -> None:
        """Count ``count`` tokens that came together, ``since_last`` seconds after those before
        them."""
        if count == 1:
            self._put_gap(since_last)
        elif count > 1:
            self._between_tokens.observe(since_last / count, count)

    def refused(self, error: RequestError) -> None:
        """Count a request that did not get as far as the engine."""
        count_failure(self.store, error, _STEP)

    def ended(self, record: RequestRecord) -> None:
        """Count a request of the engine that has ended."""
        store = self.store
        store.add("gemma4_chunks_total", record.chunks)
        if record.streamed:
            store.add("gemma4_streamed_tokens_total", record.completion_tokens)
            store.add("gemma4_streamed_chunks_total", record.chunks)
        if record.ttft_s:
            first = record.prepare_s + record.ttft_s
            store.observe("gemma4_time_to_first_token_seconds", first)
        if record.status != "OK":
            _count(store, record.status, record.code, _STEP)
            return
        store.add("gemma4_request_success_total", 1, record.finish_reason)
        for name, value in (
            ("e2e_request_latency_seconds", record.prepare_s + record.total_s),
            ("request_prepare_time_seconds", record.prepare_s),
            ("request_queue_time_seconds", record.queue_s),
            ("request_prefill_time_seconds", record.prefill_s),
            ("request_decode_time_seconds", record.decode_s),
            ("request_prompt_tokens", record.prompt_tokens),
            ("request_generation_tokens", record.completion_tokens),
        ):
            store.observe(f"gemma4_{name}", value)

    def quality_gate(self, outcome: Outcome) -> None:
        """Take over a run of the quality gate."""
        self.store.add("gemma4_quality_gate_runs_total", 1, outcome.result)
        if outcome.verdict is not None:
            self.store.set("gemma4_quality_gate_ok", int(outcome.verdict.passed))
            self.store.set("gemma4_quality_gate_agreement", outcome.verdict.agreement)
            if (moved := outcome.verdict.moved) is not None:
                self.store.set("gemma4_quality_gate_log_prob_change_nats", moved)
            self.store.set("gemma4_quality_gate_last_run_timestamp_seconds", outcome.at)

    def spans(self, counts: SpanCounts) -> None:
        """Take over what became of the spans of this process."""
        for result, count in asdict(counts).items():
            self.store.set("gemma4_trace_spans_total", count, result)

    def state(self, stats: EngineStats) -> None:
        """Take over the engine's state, which is that of now."""
        self.store.set("gemma4_last_update_timestamp_seconds", time.time())
        if stats == self._stats:
            return
        self._stats = stats
        for name, value in (
            ("prompt_tokens_total", stats.prompt_tokens),
            ("generation_tokens_total", stats.generated_tokens),
            ("prefix_cache_queries_total", stats.prompt_tokens),
            ("prefix_cache_hits_total", stats.cached_tokens),
            ("num_requests_running", stats.active),
            ("num_requests_waiting", stats.queued),
            ("draining", int(stats.draining)),
        ):
            self.store.set(f"gemma4_{name}", value)
        if self._info.speculative:
            self._drafts(stats)
        self._requests(stats)
        self._blocks(stats)

    def _drafts(self, stats: EngineStats) -> None:
        for name, value in (
            ("drafts", stats.drafts),
            ("draft_tokens", stats.draft_tokens),
            ("accepted_tokens", stats.accepted_tokens),
        ):
            self.store.set(f"{_SPECULATIVE}num_{name}_total", value)

    def _requests(self, stats: EngineStats) -> None:
        for kind, value in (
            ("active", stats.active),
            ("scheduled", stats.active),
            ("waiting", stats.queued),
            ("max", stats.slots),
        ):
            self.store.set(_NV_REQUESTS, value, *_NV_MODEL, kind)

    def _blocks(self, stats: EngineStats) -> None:
        """Set the blocks of the KV cache: one for each slot where the engine has none. One that has
        blocks may not have told them yet; then nothing is set."""
        if stats.kv_block_tokens and not stats.kv_blocks:
            return
        if stats.kv_blocks:
            used, total = stats.kv_blocks_used, stats.kv_blocks
            tokens = stats.kv_block_tokens
        else:
            used, total, tokens = stats.active, stats.slots, self._info.max_total_tokens
        share = used / total if total else 0.0
        self.store.set("gemma4_kv_cache_usage_perc", share)
        for kind, value in (
            ("used", used),
            ("free", total - used),
            ("max", total),
            ("tokens_per", tokens),
            ("fraction", share),
        ):
            self.store.set(_NV_BLOCKS, value, *_NV_MODEL, kind)
