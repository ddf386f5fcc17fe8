"""The checks of a trial, one after the other, within a budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gemma4_runtime.manifest import Manifest

from gemma4_serve.doctor.report import Result
from gemma4_serve.doctor.trial import answers, figures, requests, state
from gemma4_serve.doctor.trial.budget import Budget, bounded
from gemma4_serve.doctor.trial.long_prompt import long_prompt
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
    Check("long prompt", long_prompt, 120),
    Check("pace", requests.pace, 150),
    Check("cancel", requests.cancel, 90),
    Check("statistics", figures.statistics, 90),
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
    engine: Path,
    manifest: Manifest,
    *,
    start_timeout: float,
    budget: Budget,
    tell: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run every check in turn; a check that fails does not stop the next. When ``budget`` is spent
    no other is begun, and the results name what was left out. ``tell`` gets each result when it is
    there. Call this in the main thread."""
    results: list[Result] = []

    def note(result: Result) -> bool:
        results.append(result)
        tell(result)
        return result.level != "fail"

    queue = min(manifest.limits.max_queued, MOST_QUEUED)
    trial = Trial(engine, manifest, TrialServer(engine, max_queued=queue), queue)
    try:
        if not note(_load(trial, start_timeout, budget)):
            return results
        for check in CHECKS:
            note(_check(check, trial, budget))
    finally:
        trial.server.close()
    note(_whole(results, trial, budget))
    return results


def _load(trial: Trial, timeout: float, clock: Budget) -> Result:
    """Start the server, and ask the first request, which may compile what the start did not."""
    if clock.left < _LEAST_S:
        return Result("load", "fail", "the budget was spent before it, on the files", _LATER)
    server = trial.server
    try:
        trial.load_s = server.start(min(timeout, clock.left))
        triton = server.triton_version()
    except (ServeError, OSError) as error:
        return Result("load", "fail", str(error), figures={"log": server.log.lines()})
    began = time.monotonic()
    first = bounded(
        "load", lambda: _first(trial), min(REQUEST_S, clock.left), give_up=trial.hang_up
    )
    trial.hang_up()
    spent = time.monotonic() - began
    figures = {
        "seconds": trial.load_s, "first_answer_s": spent, "triton": triton,
        "log": server.log.lines(), "trouble": server.log.trouble(),
    }  # fmt: skip
    if first.level == "fail":
        return replace(first, figures=figures)
    return Result(
        "load", "ok",
        f"Triton {triton} was ready in {trial.load_s:.1f} s, the first answer took {spent:.2f} s",
        figures=figures,
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


def _whole(results: list[Result], trial: Trial, clock: Budget) -> Result:
    missing = [r.name for r in results if r.figures.get("left_out") is True]
    spent = clock.seconds - clock.left
    log = trial.server.log
    return Result(
        "whole trial", "warn" if missing else "ok",
        f"{spent:.0f} of {clock.seconds:.0f} s"
        + (f"; left out: {', '.join(missing)}" if missing else ", nothing left out"),
        figures={
            "seconds": spent, "left_out": missing, "log": log.lines(), "trouble": log.trouble(),
        },
    )  # fmt: skip
