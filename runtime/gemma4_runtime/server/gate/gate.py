"""When the quality gate runs, and what follows from it.

A run replays every recorded prompt, one at a time, while nobody else uses the engine. The prompts
of a run are spread over the interval, but for those of the first run and of one after a failure.
A user's request ends a replay at once; the answers that were whole are kept, and the rest follows
when the engine is idle again. A run ends as soon as it is certain that it fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread

from gemma4_runtime.engines.base import Engine
from gemma4_runtime.recorded_answers import RecordedAnswers
from gemma4_runtime.server.gate.outcome import Outcome
from gemma4_runtime.server.gate.pace import Pace
from gemma4_runtime.server.gate.replay import GateError, Interrupted, Replay
from gemma4_runtime.server.gate.verdict import Agreement, Answer, Rules, compare, hopeless, judge

__all__ = ["QualityGate"]

START_S = 5.0
"""Seconds from the start to the first run: other models still load on the same processors."""
QUIET_S = 2.0
"""Seconds without a user's request before an answer is asked for."""
GIVE_UP_S = 3600.0
"""Seconds (or the interval, if that is longer) after which a run that is not left alone for one
answer counts as skipped."""
_LOOK_S = 0.25
"""Seconds between two looks whether the engine is idle."""


class QualityGate:
    """``report`` gets each outcome, in the thread of the gate. ``interval`` None: often enough for
    damage to be seen within a minute, within :data:`~gemma4_runtime.server.gate.pace.SHARE` of the
    engine's time; 0: once, and again only while it fails."""

    def __init__(
        self,
        engine: Engine,
        recorded: RecordedAnswers,
        rules: Rules,
        *,
        eos_ids: list[int],
        interval: float | None,
        report: Callable[[Outcome], None],
    ) -> None:
        self._engine = engine
        most = engine.info.max_total_tokens
        self._answers = [a for a in recorded.answers if len(a.prompt) + len(a.answer) <= most]
        self._rules = rules
        self._pace = Pace(interval, max(1, len(self._answers) * engine.info.copies))
        self._report = report
        self._replay = Replay(engine, eos_ids)
        self._stop = Event()
        self._done: dict[tuple[int, str], Agreement] = {}
        self._first: dict[tuple[int, str], Answer] = {}
        self._seconds, self._tokens, self._asked_s = 0.0, 0, 0.0
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
        wait = START_S if self._last is None else self._pause()
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
            if outcome is not None:
                self._tell(outcome)
            wait = self._pause()

    def _pause(self) -> float | None:
        """Return the seconds to the next prompt; None for never."""
        return self._pace.pause(self._last, begun=bool(self._done), asked_s=self._asked_s)

    def _when_idle(self) -> Outcome | None:
        """Replay one prompt in a pause that users leave. The outcome, when it was the last one that
        the run needs; None when more follow, or when told to stop."""
        end = time.monotonic() + max(self._pace.interval, GIVE_UP_S)
        while not self._stop.is_set():
            if time.monotonic() > end:
                return self._skipped("the engine was never idle for long enough")
            if not self._quiet():
                self._stop.wait(_LOOK_S)
                continue
            try:
                return self._outcome() if self._step() else None
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
        """Replay the next prompt that lacks; True when the run needs no more."""
        lacks = [
            (copy, recorded)
            for copy in range(1, self._engine.info.copies + 1)
            for recorded in self._answers
            if (copy, recorded.name) not in self._done
        ]
        if not lacks:
            return True
        (copy, recorded), began = lacks[0], time.monotonic()
        place = copy, recorded.name
        try:
            answer = self._replay.ask(recorded, copy)
        finally:
            self._asked_s = time.monotonic() - began
            self._seconds += self._asked_s
        self._tokens += len(recorded.prompt) + len(answer.ids)
        self._done[place] = compare(recorded, answer, self._rules, self._first.get(place))
        self._first.setdefault(place, answer)
        left = sum(len(each.answer) for number, each in lacks[1:] if number == copy)
        return len(lacks) == 1 or hopeless(self._of(copy), left, self._rules)

    def _of(self, copy: int) -> list[Agreement]:
        return [each for (number, _), each in self._done.items() if number == copy]

    def _outcome(self) -> Outcome:
        verdicts = []
        for copy in range(1, self._engine.info.copies + 1):
            if (verdict := judge(self._of(copy), self._rules)) is not None:
                verdicts.append((verdict.passed, verdict.agreement, copy, verdict))
        if not verdicts:
            return self._skipped(
                "no recorded prompt fits this engine's limits"
                if not self._answers
                else "every answer left the recorded one at a near tie at once"
            )
        *_, copy, worst = min(verdicts, key=lambda each: each[:2])
        return Outcome(
            "passed" if worst.passed else "failed", time.time(),
            verdict=worst, copy=copy, seconds=self._seconds, tokens=self._tokens,
        )  # fmt: skip

    def _broke(self, error: Exception) -> Outcome:
        return self._skipped(f"the gate broke: {error!r}")

    def _skipped(self, reason: str) -> Outcome:
        return Outcome("skipped", reason=reason, seconds=self._seconds, tokens=self._tokens)

    def _tell(self, outcome: Outcome) -> Outcome:
        if self._last is None and outcome.result == "failed":
            self._first.clear()  # damaged from the start: nothing to measure a change from
        self._done.clear()
        self._seconds, self._tokens = 0.0, 0
        self._last = outcome
        self._report(outcome)
        return outcome
