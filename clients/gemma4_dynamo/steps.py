"""How long a step of the engine takes, seen from its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Step", "Steps"]


@dataclass(frozen=True, slots=True)
class Step:
    """``seconds`` that a stream waited for a token, on average; 0 when none came.
    ``prefill_tokens``: tokens of prompts for each such step."""

    seconds: float
    prefill_tokens: int


class Steps:
    """Averages over all streams, since they were last asked for. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._streams = 0
        self._seen = self._taken = clock()
        self._stream_s = 0.0
        self._generated = 0
        self._prefilled = 0

    def begin(self, prompt_tokens: int) -> None:
        """Note that a stream has its first token."""
        self._pass_time()
        self._streams += 1
        self._prefilled += prompt_tokens

    def generated(self, tokens: int) -> None:
        """Note further tokens of a stream."""
        self._generated += tokens

    def end(self) -> None:
        """Note that a stream has ended."""
        self._pass_time()
        self._streams -= 1

    def take(self) -> Step:
        """Return the averages, and begin anew."""
        self._pass_time()
        seconds = self._seen - self._taken
        step = self._stream_s / self._generated if self._generated else 0.0
        prefilled = self._prefilled * step / seconds if seconds else 0.0
        self._taken, self._stream_s = self._seen, 0.0
        self._generated = self._prefilled = 0
        return Step(step, round(prefilled))

    def _pass_time(self) -> None:
        now = self._clock()
        self._stream_s += self._streams * (now - self._seen)
        self._seen = now
