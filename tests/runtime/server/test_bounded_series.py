"""However clients and engines behave, the endpoint has a bounded number of series."""

from __future__ import annotations

from gemma4_runtime.engines.base import EngineInfo, EngineStats
from gemma4_runtime.error_codes import Code, Status
from gemma4_runtime.errors import RequestError, parse_wire
from gemma4_runtime.messages import FinishReason
from gemma4_runtime.metrics.families import FAMILIES
from gemma4_runtime.restarts import RESTART_REASONS, read_restarts
from gemma4_runtime.server.engine_metrics import FAILURES, EngineMetrics, count_failure
from gemma4_runtime.server.streams.record import RequestRecord
from hypothesis import given
from hypothesis import strategies as st

INFO = EngineInfo("synthetic", "1", "none", 8, 16, 4096, 2000, speculative=True)
METRICS = EngineMetrics(INFO, version="0", model_name="demo", restarts=read_restarts(""))
"""One for all examples: what they leave adds up."""
BOUNDS = {
    "status": len(Status),
    "code": len(Code) + 1,
    "step": 2,
    "finished_reason": 3,
    "reason": len(RESTART_REASONS),
    "request_type": 4,
    "kv_cache_block_type": 5,
}
"""Values of each label; those that are not here have one."""

words = st.text(max_size=30)
codes = st.sampled_from(sorted(Code)) | words
errors = st.builds(
    RequestError, codes, words, status=st.sampled_from(Status), field=words,
    details=st.dictionaries(words, words, max_size=3),
)  # fmt: skip
finish_reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "tool_calls"])
seconds, counts = st.floats(0, 1e9), st.integers(0, 10**9)
records = st.builds(
    RequestRecord, request_id=words, key=words, message=words,
    status=st.sampled_from(["OK", *Status]), code=codes, finish_reason=finish_reasons,
    prompt_tokens=counts, completion_tokens=counts, cached_tokens=counts, chunks=counts,
    prepare_s=seconds, queue_s=seconds, prefill_s=seconds, decode_s=seconds, ttft_s=seconds,
    total_s=seconds,
)  # fmt: skip
states = st.builds(EngineStats, *[counts] * 4, st.booleans(), st.booleans(), *[counts] * 13)


def check() -> None:
    """Every label keeps to its bound; so does a family, whose labels belong together."""
    seen: dict[tuple[str, str], set[str]] = {}
    for family, suffix, labels, _ in METRICS.store.samples():
        names = family.labels if suffix != "_bucket" else ("le",)
        for name, value in zip(names, labels, strict=True):
            seen.setdefault((family.name, name), set()).add(value)
    for (family_name, name), values in seen.items():
        known = {family.name: family for family in FAMILIES}[family_name]
        most = len(known.buckets) + 1 if name == "le" else BOUNDS.get(name, 1)
        assert len(values) <= most, (family_name, name)


@given(errors, records, states)
def test_no_text_of_a_client_becomes_a_series(
    error: RequestError, record: RequestRecord, state: EngineStats
) -> None:
    METRICS.refused(error)
    count_failure(METRICS.store, error, "preprocessing")
    METRICS.ended(record)
    METRICS.state(state)
    check()


@given(words)
def test_no_code_of_another_software_becomes_a_series(code: str) -> None:
    told = parse_wire(f"INTERNAL: [{code}] broken")
    if told is not None:
        METRICS.refused(told)
    check()


def test_a_code_of_another_version_is_counted_as_unknown() -> None:
    METRICS.refused(RequestError("made_up", "x", status=Status.INTERNAL))
    labels = {labels for family, _, labels, _ in METRICS.store.samples() if family.name == FAILURES}
    assert ("INTERNAL", "unknown", "engine") in labels
    assert not any("made_up" in each for each in labels)
