"""What one GPU holds, and how many requests of which length fit beside the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache

from gemma4_build.errors import BadOptionError
from gemma4_build.request import BuildRequest
from gemma4_build.trtllm.bytes_needed import KV_ITEM, RankPlan, plan_rank, scheme_for
from gemma4_build.trtllm.widths import check_split, padded
from gemma4_runtime.trtllm.compatibility import Verdict, verdict
from gemma4_runtime.trtllm.kv_memory import held_requests, request_bytes
from gemma4_runtime.trtllm.presets import FREE_MEMORY, Preset, step_tokens
from gemma4_runtime.trtllm.setup import Precision

from gemma4_plan.catalog import Card
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.model import published_model
from gemma4_plan.overhead import Overhead, overhead
from gemma4_plan.span import Span

__all__ = ["DEFAULT_SLOTS", "MOST_SLOTS", "GpuMemory", "Room", "Split", "plan_gpu", "rank_of"]

MOST_SLOTS = 2048
"""Requests at once on one copy of the model: TensorRT-LLM's default ``max_batch_size``."""

DEFAULT_SLOTS = int(next(f.default for f in fields(BuildRequest) if f.name == "slots"))  # type: ignore[arg-type]
"""Requests at once of a build that does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How the model is stored and shared out. ``quantize`` is for nvfp4: experts, or the dense MLPs
    too (mlp). ``pad``: widths are padded until ``tp`` divides them."""

    precision: Precision
    tp: int = 1
    ep: int = 1
    quantize: str = "experts"
    pad: bool = False

    @property
    def kv_item(self) -> int:
        """Bytes of a value in the KV cache."""
        return KV_ITEM[self.precision]

    def check(self) -> None:
        """Raise :class:`BadQuestionError` for what TensorRT-LLM could not load."""
        if self.tp < 1 or self.ep < 1 or self.tp % self.ep:
            raise BadQuestionError(
                f"--tp {self.tp} --ep {self.ep}: --ep must divide --tp; use --ep {self.tp} or 1"
            )
        spec, scheme = published_model(), scheme_for(self.precision, self.quantize)
        if self.pad or self.precision == "int4":
            spec = padded(spec, self.precision, scheme, tp=self.tp, ep=self.ep).apply(spec)
        try:
            check_split(spec, self.precision, scheme, tp=self.tp, ep=self.ep)
        except BadOptionError as error:
            raise BadQuestionError(str(error)) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """For requests of ``tokens`` (prompt and answer): ``kv_bytes`` of one on each GPU, and how many
    run at once with nothing of them outside of the GPU's pool, no more than the slots."""

    tokens: int
    kv_bytes: int
    requests: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """Of one GPU of those that share the model, in bytes. ``pool`` is the KV cache's, at
    ``slots``."""

    gpu: str
    card: Card
    split: Split
    preset: Preset
    slots: int
    verdict: Verdict
    rank: RankPlan
    overhead: Overhead
    pool: Span
    rooms: tuple[Room, ...]
    longest: Span

    @property
    def precision(self) -> str:
        return self.split.precision

    @property
    def fits(self) -> str:
        """Whether each of the lengths fits: yes, no, or maybe where that is not known exactly."""
        least = min(room.requests.low for room in self.rooms)
        most = min(room.requests.high for room in self.rooms)
        return "no" if most < 1 else "yes" if least >= 1 else "maybe"

    @property
    def left(self) -> Span:
        """What TensorRT-LLM leaves free, where CUDA graphs go."""
        share = 1 / FREE_MEMORY[self.preset] - 1
        return Span(self.pool.low * share, self.pool.high * share)


def plan_gpu(
    name: str,
    card: Card,
    split: Split,
    *,
    tokens: tuple[int, ...],
    slots: int | None,
    preset: Preset = "throughput",
) -> GpuMemory:
    """Plan a GPU for requests of each of ``tokens``. ``slots`` None: as many as fit, for each
    length by itself. Raises :class:`BadQuestionError` for a split that nothing loads."""
    split.check()
    planner = _Planner(card, split, preset)
    shown = slots or planner.most(max(tokens))[1] or 1
    return GpuMemory(
        gpu=name,
        card=card,
        split=split,
        preset=preset,
        slots=shown,
        verdict=verdict(
            gpu=card.as_gpu(name), precision=split.precision, tp=split.tp, ep=split.ep,
            nvfp4_scope="mlp" if split.quantize == "mlp" else "experts", pad=split.pad,
        ),
        rank=planner.rank,
        overhead=planner.overhead(shown),
        pool=planner.pool(shown),
        rooms=tuple(planner.room(length, slots) for length in tokens),
        longest=planner.longest(slots),
    )  # fmt: skip


@cache
def rank_of(split: Split) -> RankPlan:
    return plan_rank(
        published_model(), split.precision, tp=split.tp, ep=split.ep, quantize=split.quantize,
        pad=split.pad,
    )  # fmt: skip


class _Planner:
    """One GPU, whatever the requests."""

    def __init__(self, card: Card, split: Split, preset: Preset) -> None:
        self.card, self.split, self.preset = card, split, preset
        self.spec = published_model()
        self.rank = rank_of(split)

    def overhead(self, slots: int) -> Overhead:
        return overhead(
            self.spec, self.split.precision, tp=self.split.tp, ep=self.split.ep, slots=slots,
            step_tokens=step_tokens(self.preset, slots=slots),
        )  # fmt: skip

    def pool(self, slots: int) -> Span:
        """Return what TensorRT-LLM takes for the KV cache: a fraction of what weights, activations
        and its libraries leave (KvCacheCreator of its pyexecutor/_util.py)."""
        beside = self.overhead(slots)
        held = beside.runtime + beside.activations
        free = self.card.memory_bytes - self.rank.weights
        fraction = FREE_MEMORY[self.preset]
        return Span(max(0, free - held.high) * fraction, max(0, free - held.low) * fraction)

    def held(self, pool: float, tokens: int, slots: int) -> int:
        return held_requests(
            int(pool), tokens, slots=slots, step_tokens=step_tokens(self.preset, slots=slots),
            element_bytes=self.split.kv_item, tp=self.split.tp,
        )  # fmt: skip

    def room(self, tokens: int, slots: int | None) -> Room:
        if slots is None:
            low, high = self.most(tokens)
        else:
            pool = self.pool(slots)
            low, high = (min(slots, self.held(end, tokens, slots)) for end in (pool.low, pool.high))
        return Room(tokens=tokens, kv_bytes=self.each(tokens), requests=Span(low, high))

    def each(self, tokens: int) -> int:
        return request_bytes(tokens, element_bytes=self.split.kv_item, tp=self.split.tp)

    def most(self, tokens: int) -> tuple[int, int]:
        """Return the largest slots whose own pool holds as many requests, at either end."""
        return (
            self._most(tokens, lambda slots: self.pool(slots).low),
            self._most(tokens, lambda slots: self.pool(slots).high),
        )

    def _most(self, tokens: int, pool: Callable[[int], float]) -> int:
        """Search downward: more slots need more beside the pool, and few slots divide it badly."""
        bound = min(MOST_SLOTS, int(pool(1)) // self.each(tokens))
        return next((n for n in range(bound, 0, -1) if self.held(pool(n), tokens, n) >= n), 0)

    def longest(self, slots: int | None) -> Span:
        """Return the most tokens of one request; without ``slots`` those of the build's default."""
        count = slots or DEFAULT_SLOTS
        pool = self.pool(count)
        return Span(*(self._longest(end, count) for end in (pool.low, pool.high)))

    def _longest(self, pool: float, slots: int) -> int:
        low, high = 0, self.spec.context
        while low < high:
            middle = (low + high + 1) // 2
            if self.held(pool, middle, slots) >= 1:
                low = middle
            else:
                high = middle - 1
        return low
