"""Checks of what the server says of itself: statistics, quality gate, memory; and its restart."""

from __future__ import annotations

import os
import signal
import time

import psutil
from gemma4_client import Gemma4Error
from gemma4_runtime.machine import available_memory
from gemma4_runtime.recorded_answers import NoRecordError, read_recorded
from gemma4_runtime.trtllm.nvml import read_driver

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial.trial import REQUEST_S, TEXT, Trial

__all__ = ["memory", "quality_gate", "restart", "statistics"]

_GATE_S = 120.0
"""Seconds from the start to the end of the gate's first run."""
_PUBLISH_S = 10.0
"""Seconds until a figure is in the metrics: they are sent once a second, KV figures twice."""
_TELL_S = 10.0
"""Seconds in which a client has to hear that the engine was lost."""
_RUNS = "gemma4_quality_gate_runs_total"
_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"


def quality_gate(trial: Trial) -> Result:
    """Wait for the gate's first run and report what it found."""
    name = "quality gate"
    try:
        read_recorded(trial.folder, trial.manifest)
    except NoRecordError as error:
        return Result(name, "info", str(error))
    server = trial.server
    server.wait(lambda: bool(server.metric(_RUNS)), _GATE_S, "through its quality gate")
    server.wait_counted(_PUBLISH_S)  # figures arrive one by one
    agreement = server.metric("gemma4_quality_gate_agreement")
    if agreement is None:
        return Result(name, "warn", "skipped: nothing recorded could be compared")
    passed = server.metric("gemma4_quality_gate_ok") == 1
    return Result(
        name, "ok" if passed else "fail", f"agreement {agreement:.1%} with the recorded answers",
        "" if passed else "build again; if it stays, the runtime computes wrongly here",
        {"agreement": agreement, "passed": passed},
    )  # fmt: skip


def statistics(trial: Trial) -> Result:
    """Check the figures of the metrics, the runtime's own among them, against a known request."""
    server, client = trial.server, trial.client()
    server.wait_idle()
    server.wait_counted(_PUBLISH_S)  # what the checks before left to count
    before = server.metric("gemma4_generation_tokens_total") or 0.0
    stream = trial.running_stream(client)
    running = used = 0.0
    tokens, samples = 0, 0
    for delta in stream:
        tokens += len(delta.ids)
        if tokens > samples * 16:  # metrics cost time of the stream
            samples += 1
            found = server.metrics()
            running = max(running, found.get("gemma4_num_requests_running", 0))
            used = max(used, found.get("gemma4_kv_cache_usage_perc", 0))
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


def _block(found: dict[str, float], kind: str) -> float:
    return next(
        (v for k, v in found.items() if k.startswith(_BLOCKS) and f'type="{kind}"' in k), 0.0
    )


def _drafts(found: dict[str, float]) -> dict[str, float]:
    names = ("drafts", "draft_tokens", "accepted_tokens")
    keys = {name: f"gemma4_spec_decode_num_{name}_total" for name in names}
    return {name: found[key] for name, key in keys.items() if key in found}


def memory(trial: Trial) -> Result:
    """Report the memory that the server has, on the host and on every GPU."""
    host = 0
    for process in trial.server.processes():
        try:
            host += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    driver = read_driver()
    devices = () if isinstance(driver, str) else driver.visible(os.environ)
    gpus = [
        {"index": d.index, "used": d.memory_total - d.memory_free, "total": d.memory_total}
        for d in devices
    ]
    left = available_memory()
    on_gpus = ", ".join(
        f"GPU {g['index']}: {g['used'] / 2**30:.1f} of {g['total'] / 2**30:.1f} GiB" for g in gpus
    )
    return Result(
        "memory", "ok",
        f"{host / 2**30:.2f} GiB on the host (shared pages counted in each process), "
        f"{left / 2**30:.1f} GiB still available" + (f"; {on_gpus}" if gpus else ""),
        figures={"host_rss": host, "host_available": left, "gpus": gpus},
    )  # fmt: skip


def restart(trial: Trial) -> Result:
    """Kill what computes; check that clients hear of it and that the server comes back."""
    server, client = trial.server, trial.impatient()
    before = server.metric("gemma4_engine_restarts_total") or 0.0
    asked = _short(trial)
    stream = iter(trial.running_stream(client))
    next(stream)
    began = time.monotonic()
    os.kill(server.engine_process(), signal.SIGKILL)
    try:
        for _ in stream:
            pass
        end = "whole"
    except Gemma4Error as error:
        end = str(error.code)
    told = time.monotonic() - began
    server.wait(lambda: _restarts(trial) > before, 2 * trial.load_s + 60, "started again")
    server.wait(server.ready, 2 * trial.load_s + 60, "ready again")
    back = time.monotonic() - began
    same = _short(trial) == asked
    fine = told <= _TELL_S and same and end != "whole"
    return Result(
        "restart", "ok" if fine else "fail",
        f"killed while it answered: the client heard of it after {told:.1f} s ({end}), ready again "
        f"after {back:.1f} s, the same answer as before: {'yes' if same else 'no'}",
        "" if fine else f"a client has to hear of it within {_TELL_S:.0f} s",
        {"told_s": told, "ready_s": back, "end": end, "same_answer": same},
    )  # fmt: skip


def _restarts(trial: Trial) -> float:
    try:
        return trial.server.metric("gemma4_engine_restarts_total") or 0.0
    except OSError:
        return 0.0


def _short(trial: Trial) -> list[int]:
    answer = trial.client().generate(TEXT, max_tokens=8, temperature=0.0, timeout=REQUEST_S)
    return answer.result().ids
