"""When the quality gate runs, and what follows from it.

A run replays every recorded prompt, one after the other, while nobody else uses the engine. A
user's request ends it at once; the answers that were whole are kept, and the rest follows when the
engine is idle again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.recorded_answers import RecordedAnswers
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.gate.replay import GateError, Interrupted, Replay
from gemma4_runtime.server.gate.verdict import Agreement, Rules, compare, judge

__all__ = ["QualityGate"]

START_S = 5.0
"""Seconds from the start to the first run: other models still load on the same processors."""
QUIET_S = 2.0
"""Seconds without a user's request before an answer is asked for."""
FAILED_AGAIN_S = 60.0
"""Seconds from a failed run to the next, where the interval is longer or none."""
GIVE_UP_S = 3600.0
"""Seconds (or the interval, if that is longer) after which a run that was never left alone counts
as skipped."""
_LOOK_S = 0.25
"""Seconds between two looks whether the engine is idle."""


class QualityGate:
    """``report`` gets each outcome, in the thread of the gate. ``interval`` 0: once, and again
    only while it fails."""

    def __init__(
        self,
        engine: Engine,
        recorded: RecordedAnswers,
        rules: Rules,
        *,
        eos_ids: list[int],
        interval: float,
        report: Callable[[Outcome], None],
    ) -> None:
        self._engine = engine
        most = engine.info.max_total_tokens
        self._answers = [a for a in recorded.answers if len(a.prompt) + len(a.answer) <= most]
        self._rules = rules
        self._interval = interval
        self._report = report
        self._replay = Replay(engine, eos_ids)
        self._stop = Event()
        self._done: dict[tuple[int, str], Agreement] = {}
        self._seconds, self._tokens = 0.0, 0
        self._seen, self._quiet_since = -1, 0.0
        self._last: Outcome | None = None
        self._thread: Thread | None = None

    def run_now(self) -> Outcome:
        """Make a run before anybody else can use the engine, and report it."""
        try:
            while not self._step():
                pass
            outcome = self._outcome()
        except (Interrupted, GateError) as error:
            outcome = self._skipped(str(error))
        except Exception as error:  # noqa: BLE001 - as in :meth:`_when_idle`
            outcome = self._broke(error)
        return self._tell(outcome)

    def start(self) -> None:
        """Make runs from now on, in a thread, until :meth:`stop`."""
        wait = START_S if self._last is None else self._pause(self._last)
        if wait is not None:
            self._thread = Thread(target=self._run, args=(wait,), name="quality-gate", daemon=True)
            self._thread.start()

    def give_way(self) -> None:
        """Let a user's request have the engine, which it has been given before this call."""
        self._replay.cancel()

    def stop(self) -> None:
        """End the run that is under way, and make no other. Does not wait."""
        self._stop.set()
        self._replay.cancel()

    def close(self) -> None:
        """Do as :meth:`stop`, and wait for the thread."""
        self.stop()
        if self._thread is not None:
            self._thread.join()

    def _run(self, wait: float | None) -> None:
        while wait is not None and not self._stop.wait(wait):
            outcome = self._when_idle()
            if outcome is None:
                return
            wait = self._pause(self._tell(outcome))

    def _pause(self, last: Outcome) -> float | None:
        """Return the seconds from a run to the next; None for never."""
        if last.result == "failed":
            return min(self._interval or FAILED_AGAIN_S, FAILED_AGAIN_S)
        return self._interval or None

    def _when_idle(self) -> Outcome | None:
        """Make a run in the pauses that users leave; None when told to stop."""
        end = time.monotonic() + max(self._interval, GIVE_UP_S)
        while not self._stop.is_set():
            if time.monotonic() > end:
                return self._skipped("the engine was never idle for long enough")
            if not self._quiet():
                self._stop.wait(_LOOK_S)
                continue
            try:
                if self._step():
                    return self._outcome()
            except Interrupted:
                self._stop.wait(_LOOK_S)
            except GateError as error:
                return None if self._stop.is_set() else self._skipped(str(error))
            except Exception as error:  # noqa: BLE001 - answers go on without a gate
                return self._broke(error)
        return None

    def _quiet(self) -> bool:
        """Return whether no user's request ran or came for :data:`QUIET_S` seconds."""
        stats, now = self._engine.stats(), time.monotonic()
        if stats.active or stats.queued or stats.submitted != self._seen:
            self._seen, self._quiet_since = stats.submitted, now
        return now - self._quiet_since >= QUIET_S

    def _step(self) -> bool:
        """Replay the next prompt that lacks; True when none does."""
        for copy in range(1, self._engine.info.copies + 1):
            for recorded in self._answers:
                if (copy, recorded.name) in self._done:
                    continue
                began = time.monotonic()
                try:
                    ids = self._replay.ask(recorded, copy)
                finally:
                    self._seconds += time.monotonic() - began
                self._tokens += len(recorded.prompt) + len(ids)
                self._done[copy, recorded.name] = compare(recorded, ids, self._rules)
                return False
        return True

    def _outcome(self) -> Outcome:
        verdicts = []
        for copy in range(1, self._engine.info.copies + 1):
            found = [self._done[copy, recorded.name] for recorded in self._answers]
            if (verdict := judge(found, self._rules)) is not None:
                verdicts.append((verdict.agreement, copy, verdict))
        if not verdicts:
            return self._skipped(
                "no recorded prompt fits this engine's limits"
                if not self._answers
                else "every answer left the recorded one at a near tie at once"
            )
        _, copy, worst = min(verdicts, key=lambda each: each[0])
        return Outcome(
            "passed" if worst.passed else "failed", time.time(),
            verdict=worst, copy=copy, seconds=self._seconds, tokens=self._tokens,
        )  # fmt: skip

    def _broke(self, error: Exception) -> Outcome:
        return self._skipped(f"the gate broke: {error!r}")

    def _skipped(self, reason: str) -> Outcome:
        return Outcome("skipped", reason=reason, seconds=self._seconds, tokens=self._tokens)

    def _tell(self, outcome: Outcome) -> Outcome:
        self._done.clear()
        self._seconds, self._tokens = 0.0, 0
        self._last = outcome
        self._report(outcome)
        return outcome
