"""The checks of a trial, one after the other, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gemma4_runtime.manifest import Manifest

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial import answers, requests, state
from gemma4_serve.doctor.trial.budget import Budget, bounded
from gemma4_serve.doctor.trial.server import TrialServer
from gemma4_serve.doctor.trial.trial import MOST_QUEUED, REQUEST_S, TEXT, Trial
from gemma4_serve.errors import ServeError

__all__ = ["CHECKS", "run_trial"]

_LEAST_S = 5.0
"""Seconds of the budget below which a check is left out."""
_LATER = "give a larger --budget"


@dataclass(frozen=True, slots=True)
class Check:
    """``seconds``: the most that it may take. ``starts``: loads of the engine that it waits for."""

    name: str
    run: Callable[[Trial], Result]
    seconds: float
    starts: int = 0


CHECKS = (
    Check("first tokens", answers.first_tokens, 120),
    Check("pace", requests.pace, 150),
    Check("cancel", requests.cancel, 90),
    Check("statistics", state.statistics, 90),
    Check("guides", answers.guides, 90),
    Check("seeds", answers.seeds, 120),
    Check("overload", requests.overload, 150),
    Check("quality gate", state.quality_gate, 150),
    Check("memory", state.memory, 30),
    Check("restart", state.restart, 120, starts=1),
    Check("drain", requests.drain, 120),
)
"""In the order in which they run: what costs most or ends the server comes last."""


def run_trial(
    engine: Path, manifest: Manifest, *, start_timeout: float, budget: float
) -> list[Result]:
    """Run every check in turn; a check that fails does not stop the next. After ``budget`` seconds
    no other is begun, and the results name what was left out. Call this in the main thread."""
    clock = Budget(budget)
    results: list[Result] = []
    queue = min(manifest.limits.max_queued, MOST_QUEUED)
    trial = Trial(engine, manifest, TrialServer(engine, max_queued=queue), queue)
    try:
        loaded = _load(trial, min(start_timeout, clock.left))
        results.append(loaded)
        if loaded.level == "fail":
            return results
        results += [_check(check, trial, clock) for check in CHECKS]
    finally:
        trial.server.close()
    spent = budget - clock.left
    results.append(_whole(results, spent, budget))
    return results


def _load(trial: Trial, timeout: float) -> Result:
    """Start the server, and ask the first request, which may compile what the start did not."""
    try:
        trial.load_s = trial.server.start(timeout)
    except (ServeError, OSError) as error:
        return Result("load", "fail", str(error))
    began = time.monotonic()
    first = bounded("load", lambda: _first(trial), REQUEST_S, give_up=trial.hang_up)
    trial.hang_up()
    spent = time.monotonic() - began
    if first.level == "fail":
        return first
    return Result(
        "load", "ok", f"ready in {trial.load_s:.1f} s, the first answer took {spent:.2f} s",
        figures={"seconds": trial.load_s, "first_answer_s": spent},
    )  # fmt: skip


def _first(trial: Trial) -> Result:
    trial.client().generate(TEXT, max_tokens=1, temperature=0.0, timeout=REQUEST_S).result()
    return Result("load", "ok", "answered")


def _check(check: Check, trial: Trial, clock: Budget) -> Result:
    needs = _LEAST_S + check.starts * trial.load_s * 1.5
    if clock.left < needs:
        return _left_out(check, f"{clock.left:.0f} s of the budget were left", _LATER)
    trouble = _restore(trial, clock)
    if trouble:
        return _left_out(check, f"there is no server: {trouble}")
    most = check.seconds + check.starts * (2 * trial.load_s + 60)
    result = bounded(
        check.name, lambda: check.run(trial), min(most, clock.left), give_up=trial.hang_up
    )
    trial.hang_up()
    return result


def _restore(trial: Trial, clock: Budget) -> str:
    """Wait for a server that the last check took down, or start another; return what is wrong."""
    server = trial.server
    if server.running() and server.ready():
        return ""
    patience = min(2 * trial.load_s + 60, clock.left)
    try:
        if server.running():
            server.wait(server.ready, patience, "ready")
        else:
            server.start(patience)
    except (ServeError, TimeoutError, OSError) as error:
        return str(error)
    return ""


def _left_out(check: Check, why: str, way_out: str = "") -> Result:
    return Result(check.name, "warn", f"left out: {why}", way_out, {"left_out": True})


def _whole(results: list[Result], spent: float, budget: float) -> Result:
    missing = [r.name for r in results if r.figures.get("left_out") is True]
    return Result(
        "whole trial", "warn" if missing else "ok",
        f"{spent:.0f} of {budget:.0f} s"
        + (f"; left out: {', '.join(missing)}" if missing else ", nothing left out"),
        figures={"seconds": spent, "left_out": missing},
    )  # fmt: skip
