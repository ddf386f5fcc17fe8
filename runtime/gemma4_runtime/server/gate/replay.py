"""Ask an idle engine one recorded prompt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from threading import Event

from gemma4_runtime.capabilities import CAPABILITIES
from gemma4_runtime.engines.base import Engine, EngineFinish
from gemma4_runtime.errors import RequestError, Status
from gemma4_runtime.messages import GenerationRequest, SamplingParams, TopLogProbs
from gemma4_runtime.recorded_answers import RecordedAnswer
from gemma4_runtime.server.gate.verdict import Answer

__all__ = ["GateError", "Interrupted", "Replay"]

_ANSWER_S = 300.0
"""Seconds that the engine has for one answer; the supervisor notices a frozen one much sooner."""


class Interrupted(Exception):  # noqa: N818 - no error: users come first
    """The engine is not idle, or a user's request came."""


class GateError(Exception):
    """The engine did not answer; the text says why."""


class _Sink:
    """Takes the tokens of one answer."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.log_probs: list[float | None] = []
        self.over = Event()
        self.finish: EngineFinish | None = None
        self.error: RequestError | None = None

    def tokens(
        self,
        ids: Sequence[int],
        log_probs: Sequence[float] | None,
        top: Sequence[TopLogProbs] | None = None,
    ) -> None:
        self.ids += ids
        self.log_probs += log_probs or ()

    def finished(self, finish: EngineFinish) -> None:
        self.finish = finish
        self.over.set()

    def failed(self, error: RequestError) -> None:
        self.error = error
        self.over.set()


class Replay:
    """:meth:`ask` in one thread; :meth:`cancel` in any."""

    def __init__(self, engine: Engine, eos_ids: Sequence[int]) -> None:
        self._engine = engine
        self._eos_ids = tuple(eos_ids)
        self._numbers = count(1)
        self._key = ""
        self._log_probs = "return_log_probs" not in CAPABILITIES[engine.info.runtime].lacks

    def ask(self, recorded: RecordedAnswer, copy: int) -> Answer:
        """Return the greedy answer of copy number ``copy`` of the model, from 1, with its
        log-probabilities where the engine tells them. Raises :class:`Interrupted` and
        :class:`GateError`."""
        sink = _Sink()
        sampling = SamplingParams(
            max_tokens=len(recorded.answer),
            temperature=0.0,
            stop_token_ids=self._eos_ids,
            log_probs=self._log_probs,
        )
        self._key = key = f"quality-gate-{next(self._numbers)}"
        request = GenerationRequest(key, recorded.prompt, sampling, check=copy)
        try:
            self._engine.submit(request, sink)
        except RequestError as error:
            if error.status is Status.INVALID_ARGUMENT and self._log_probs:
                self._log_probs = False  # an option of this engine excludes them
                return self.ask(recorded, copy)
            raise Interrupted(error.message) from None
        if not sink.over.wait(_ANSWER_S):
            self._engine.cancel(key)
            raise GateError(f"no answer to {recorded.name!r} within {_ANSWER_S:.0f} s")
        if sink.error is not None:
            raise GateError(f"the engine failed on {recorded.name!r}: {sink.error.message}")
        if sink.finish is None or sink.finish.reason == "cancelled":
            raise Interrupted("cancelled")
        whole = len(sink.log_probs) == len(sink.ids)
        return Answer(sink.ids, sink.log_probs if whole else ())

    def cancel(self) -> None:
        """End what is asked just now."""
        if self._key:
            self._engine.cancel(self._key)
