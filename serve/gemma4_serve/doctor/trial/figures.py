"""A check of what the server's metrics say."""

from __future__ import annotations

import time

from gemma4_client import Stream

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial.server import TrialServer
from gemma4_serve.doctor.trial.trial import Trial

__all__ = ["statistics"]

_PUBLISH_S = 10.0
"""Seconds until a figure is in the metrics: they are sent once a second, KV figures twice."""
_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"


def statistics(trial: Trial) -> Result:
    """Check the figures of the metrics, the runtime's own among them, against a known request."""
    server, client = trial.server, trial.client()
    server.wait_idle()
    server.wait_counted(_PUBLISH_S)  # what the checks before left to count
    before = server.metric("gemma4_generation_tokens_total") or 0.0
    tokens, running, used = 0, 0.0, 0.0
    until = time.monotonic() + _PUBLISH_S
    while True:  # figures of the KV cache come too late for one stream of a fast engine
        more, *seen = _watched(server, trial.running_stream(client))
        tokens, running, used = tokens + more, max(running, seen[0]), max(used, seen[1])
        if used or not _block(server.metrics(), "max") or time.monotonic() > until:
            break
    wanted = before + tokens
    wrong = []
    try:
        server.wait(
            lambda: server.metric("gemma4_generation_tokens_total") == wanted, _PUBLISH_S, "counted"
        )
    except TimeoutError:
        counted = (server.metric("gemma4_generation_tokens_total") or 0.0) - before
        wrong.append(f"{counted:.0f} of {tokens} tokens counted")
    blocks = {kind: _block(server.metrics(), kind) for kind in ("max", "tokens_per")}
    need = trial.manifest.limits.slots * trial.manifest.limits.max_total_tokens
    pool = blocks["max"] * blocks["tokens_per"]
    if not pool:
        wrong.append("the runtime gave no figures of its KV cache")
    drafted = _drafts(server.metrics())
    figures = {
        "tokens": tokens, "seen_running": running, "seen_kv_usage": used,
        "kv_blocks": blocks["max"], "kv_block_tokens": blocks["tokens_per"],
        "kv_pool_tokens": pool, "all_slots_tokens": need, "drafts": drafted,
    }  # fmt: skip
    accepted = ""
    if drafted:
        accepted = (
            f"; {drafted['accepted_tokens']:.0f} of {drafted['draft_tokens']:.0f} drafted tokens "
            "were accepted"
        )
    return Result(
        "statistics", "fail" if wrong else "ok",
        f"KV cache of {pool:.0f} tokens for {trial.manifest.limits.slots} slots of "
        f"{trial.manifest.limits.max_total_tokens}, {used:.0%} used by one request{accepted}",
        "; ".join(wrong), figures,
    )  # fmt: skip


def _watched(server: TrialServer, stream: Stream) -> tuple[int, float, float]:
    """Read a stream to its end. Return its tokens, and the highest figures in the metrics meanwhile
    of requests that ran and of the share of the KV cache in use."""
    running = used = 0.0
    tokens, samples = 0, 0
    for delta in stream:
        tokens += len(delta.ids)
        if tokens > samples * 16:  # metrics cost time of the stream
            samples += 1
            found = server.metrics()
            running = max(running, found.get("gemma4_num_requests_running", 0))
            used = max(used, found.get("gemma4_kv_cache_usage_perc", 0))
    return tokens, running, used


def _block(found: dict[str, float], kind: str) -> float:
    return next(
        (v for k, v in found.items() if k.startswith(_BLOCKS) and f'type="{kind}"' in k), 0.0
    )


def _drafts(found: dict[str, float]) -> dict[str, float]:
    names = ("drafts", "draft_tokens", "accepted_tokens")
    keys = {name: f"gemma4_spec_decode_num_{name}_total" for name in names}
    return {name: found[key] for name, key in keys.items() if key in found}
