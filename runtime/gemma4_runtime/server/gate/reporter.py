"""What follows from a run of the quality gate: metrics, the board, a line of the log."""

from __future__ import annotations

from collections.abc import Callable

from gemma4_runtime.logs.events import log_event
from gemma4_runtime.server.board import Board, Field
from gemma4_runtime.server.gate.outcome import Outcome, Verdict

__all__ = ["Reporter"]

_ADVICE = (
    "use another server and restart this one: a start reads every file anew and checks its sum. If "
    "it fails again, build the engine again; if it fails on this machine only, the machine is the "
    "fault. See docs/operations.md#gemma4qualitygatefailed"
)


class Reporter:
    """``least``: agreement below which a run fails, for the log. ``count`` gets each outcome.
    ``enforced``: after a run that failed the board says that no request is taken, until one
    passes."""

    def __init__(
        self, least: float, board: Board, count: Callable[[Outcome], None], *, enforced: bool
    ) -> None:
        self._least = least
        self._board = board
        self._count = count
        self._enforced = enforced
        self._last = ""

    def tell(self, outcome: Outcome) -> None:
        """Take ``outcome``. A run that was skipped leaves the server as it is. Of runs that pass
        one after the other only the first has a line in the log."""
        self._count(outcome)
        last, self._last = self._last, outcome.result
        verdict = outcome.verdict
        if verdict is None:
            log_event("quality_gate_skipped", level="warning", reason=outcome.reason)
            return
        closed = self._enforced and not verdict.passed
        self._board[Field.GATE_CLOSED] = int(closed)
        self._board[Field.GATE_FAILED] = int(not verdict.passed)
        if outcome.result != "passed" or last != "passed":
            self._log(outcome, verdict, closed=closed)

    def _log(self, outcome: Outcome, verdict: Verdict, *, closed: bool) -> None:
        change: dict[str, object] = {}
        if verdict.moved is not None:
            change = {"log_prob_change": round(verdict.moved, 6), "since": verdict.since}
        why = {} if verdict.passed else {"cause": verdict.reason, "advice": _ADVICE}
        log_event(
            "quality_gate_passed" if verdict.passed else "quality_gate_failed",
            level="info" if verdict.passed else "error",
            agreement=round(verdict.agreement, 4), least=self._least,
            equal=verdict.equal, positions=verdict.positions, near_ties=verdict.near_ties,
            worst=verdict.worst, model_copy=outcome.copy, **change, tokens=outcome.tokens,
            seconds=round(outcome.seconds, 3), takes_requests=not closed, **why,
        )  # fmt: skip
