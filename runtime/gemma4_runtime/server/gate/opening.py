"""Open the quality gate of an engine step, by its settings and its engine folder."""

from __future__ import annotations

from collections.abc import Callable

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.manifest import Manifest
from gemma4_runtime.recorded_answers import NoRecordError, read_recorded
from gemma4_runtime.server.board import Board
from gemma4_runtime.server.gate.gate import QualityGate
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.gate.reporter import Reporter
from gemma4_runtime.server.gate.verdict import rules_for
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
    enforced = mode == "enforce"
    try:
        recorded = read_recorded(settings.engine_dir, manifest)
    except NoRecordError as error:
        Reporter(1.0, board, count, enforced=enforced).tell(Outcome("skipped", reason=str(error)))
        return None
    rules = rules_for(manifest, recorded)
    gate = QualityGate(
        engine,
        recorded,
        rules,
        eos_ids=manifest.model.eos_ids,
        interval=settings.quality_gate_interval,
        report=Reporter(rules.least, board, count, enforced=enforced).tell,
    )
    if enforced:
        gate.run_now()
    gate.start()
    return gate
