"""Open the quality gate of an engine step, by its settings and its engine folder."""

from __future__ import annotations

from collections.abc import Callable

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.logs.events import log_event
from gemma4_runtime.manifest import Manifest
from gemma4_runtime.recorded_answers import NoRecordError, read_recorded
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.gate.gate import QualityGate
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.gate.verdict import Rules, rules_for
from gemma4_runtime.settings import Settings

__all__ = ["open_gate"]


def open_gate(
    settings: Settings,
    manifest: Manifest,
    engine: Engine,
    board: Board,
    count: Callable[[Outcome], None],
) -> QualityGate | None:
    """Return the gate, which runs from now on; None when it is off or has nothing to compare with.
    With ``enforce`` the first run is over when this returns, and after a run that failed the board
    says that no request is taken. ``count`` gets each outcome."""
    mode = settings.quality_gate
    if mode == "off":
        return None
    try:
        recorded = read_recorded(settings.engine_dir, manifest)
    except NoRecordError as error:
        report(Outcome("skipped", reason=str(error)), None, mode, board, count)
        return None
    rules = rules_for(manifest, recorded)
    gate = QualityGate(
        engine,
        recorded,
        rules,
        eos_ids=manifest.model.eos_ids,
        interval=settings.quality_gate_interval,
        report=lambda outcome: report(outcome, rules, mode, board, count),
    )
    if mode == "enforce":
        gate.run_now()
    gate.start()
    return gate


def report(
    outcome: Outcome,
    rules: Rules | None,
    mode: str,
    board: Board,
    count: Callable[[Outcome], None],
) -> None:
    """Count and log ``outcome``, and close or open the server by it. A run that was skipped leaves
    the server as it is."""
    count(outcome)
    verdict = outcome.verdict
    if verdict is None or rules is None:
        log_event("quality_gate_skipped", level="warning", reason=outcome.reason)
        return
    closed = mode == "enforce" and not verdict.passed
    board[Field.GATE_CLOSED] = int(closed)
    log_event(
        "quality_gate_passed" if verdict.passed else "quality_gate_failed",
        level="info" if verdict.passed else "error",
        agreement=round(verdict.agreement, 4), least=rules.least,
        equal=verdict.equal, positions=verdict.positions, near_ties=verdict.near_ties,
        worst=verdict.worst, model_copy=outcome.copy,
        tokens=outcome.tokens, seconds=round(outcome.seconds, 3), takes_requests=not closed,
    )  # fmt: skip
