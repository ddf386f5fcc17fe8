"""Checks of a server's quality gate and memory, and of its restart."""

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

__all__ = ["memory", "quality_gate", "restart"]

_GATE_S = 120.0
"""Seconds from the start to the end of the gate's first run."""
_PUBLISH_S = 10.0
"""Seconds until a figure is in the metrics: they are sent once a second, KV figures twice."""
_TELL_S = 10.0
"""Seconds in which a client has to hear that the engine was lost."""
_RUNS = "gemma4_quality_gate_runs_total"


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
