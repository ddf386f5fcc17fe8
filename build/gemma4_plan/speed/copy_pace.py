"""How fast one copy of the model answers a steady stream of equal requests."""

from __future__ import annotations

from dataclasses import dataclass, field

from gemma4_runtime.trtllm.presets import Preset, step_tokens

from gemma4_plan.catalog import Card
from gemma4_plan.gpu_memory import Split, rank_of
from gemma4_plan.model import published_model
from gemma4_plan.speed.fitted import Fitted
from gemma4_plan.speed.pace import seconds
from gemma4_plan.speed.work import Step, work_of

__all__ = ["CopyPace"]

_PRESET: Preset = "throughput"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPace:
    """Requests of ``prompt`` and ``output`` tokens on a card. All times are the middle estimate, in
    seconds; :meth:`Fitted.errors` says how far they may be off."""

    name: str
    card: Card
    split: Split
    prompt: int
    output: int
    fitted: Fitted = field(repr=False)

    def itl(self, streams: int) -> float:
        """Return the mean time between two tokens of an answer, with ``streams`` at once: each step
        has as many prompt tokens as keep that many requests coming."""
        return self._step(streams, prefill=streams * self.prompt / self.output)

    def ttft(self, streams: int) -> float:
        """Return the time to the first token where a slot is free: half of a running step, then the
        chunks of the prompt, each beside the other streams' tokens."""
        chunk = step_tokens(_PRESET, slots=streams)
        whole, rest = divmod(self.prompt, chunk)
        time = self.itl(streams) / 2 + whole * self._step(streams - 1, prefill=chunk)
        return time + (self._step(streams - 1, prefill=rest) if rest else 0.0)

    def tokens_per_s(self, streams: int) -> float:
        """Return the output tokens of all streams."""
        return streams / self.itl(streams)

    def _step(self, decode: int, *, prefill: float) -> float:
        step = Step(
            decode=decode,
            context=self.prompt + self.output / 2,
            prefill=prefill,
            prompt=self.prompt,
        )
        work = work_of(
            published_model(), rank_of(self.split), step, tp=self.split.tp,
            routing=self.fitted.routing,
        )  # fmt: skip
        return seconds(work, self.card, self.split.precision, self.fitted.efficiency)
