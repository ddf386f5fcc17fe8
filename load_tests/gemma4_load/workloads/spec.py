"""A workload as the command line names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gemma4_load.errors import OptionError
from gemma4_load.workloads.base import Workload
from gemma4_load.workloads.cancels import Cancels
from gemma4_load.workloads.chat import Chat
from gemma4_load.workloads.lengths import Length
from gemma4_load.workloads.lengthy import Lengthy
from gemma4_load.workloads.sampled import Sampled
from gemma4_load.workloads.structured import Structured
from gemma4_load.workloads.tools import Tools
from gemma4_load.workloads.trace import Trace, read_trace
from gemma4_load.workloads.words import Words

__all__ = ["KINDS", "WorkloadSpec"]

KINDS = ("lengths", "chat", "tools", "structured")
_ANSWER = 256
"""Most tokens of an answer whose length the model decides."""


@dataclass(frozen=True, slots=True)
class WorkloadSpec:
    """``trace`` replaces ``kind``. ``prompt`` and ``output`` are lengths in tokens (of a turn, in
    chat); ``cancel_share`` of the requests is left in the middle; ``sampling`` are options of every
    request."""

    kind: str = "lengths"
    prompt: Length = field(default_factory=lambda: Length("fixed", 128))
    output: Length = field(default_factory=lambda: Length("fixed", 64))
    system_tokens: int = 200
    turns: int = 4
    cancel_share: float = 0.0
    trace: Path | None = None
    trace_speed: float = 1.0
    sampling: Mapping[str, float] = field(default_factory=dict)

    def make(self, words: Words) -> Workload:
        """Make the workload. Raises :class:`OptionError`."""
        made = self._unsampled(words)
        return Sampled(made, self.sampling) if self.sampling else made

    def _unsampled(self, words: Words) -> Workload:
        if self.trace is not None:
            return Trace(read_trace(self.trace), words, speed=self.trace_speed)
        if self.kind not in KINDS:
            raise OptionError(f"--workload {self.kind}: known are {', '.join(KINDS)}")
        inner: Workload
        if self.kind == "lengths":
            inner = Lengthy(words, self.prompt, self.output)
        elif self.kind == "chat":
            inner = Chat(
                words, self.prompt, self.output,
                system_tokens=self.system_tokens, turns=self.turns,
            )  # fmt: skip
        else:
            inner = Tools(_ANSWER) if self.kind == "tools" else Structured(words, _ANSWER)
        return Cancels(inner, self.cancel_share) if self.cancel_share else inner
