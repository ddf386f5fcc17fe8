"""Which GPU, precision and split serve given requests within SLOs, the cheapest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from gemma4_runtime.trtllm.setup import PRECISIONS

from gemma4_plan.catalog import CPU, Card, Catalog, Price
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.gpu_memory import Split, plan_gpu
from gemma4_plan.model import published_model
from gemma4_plan.span import Span
from gemma4_plan.speed.copy_pace import CopyPace
from gemma4_plan.speed.fitted import Fitted
from gemma4_plan.speed.pace import missing_figure

__all__ = ["MOST_STREAMS", "FitQuestion", "LeftOut", "Option", "Ranking", "rank"]

_SPLITS = ((1, 1), (2, 1), (2, 2), (4, 4), (8, 8))
"""GPUs that share the model, and that split the experts by number."""


MOST_STREAMS = 256
"""Requests at once on one copy, at most: NVIDIA's largest batch for this model (its perf-sanity
test). The largest of which a speed is published is 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitQuestion:
    """Requests of ``prompt`` and ``output`` tokens, ``rate`` of them a second (None: of one copy),
    at most ``max_streams`` of them on one copy.
    ``ttft_ms`` and ``itl_ms`` are the SLOs of the means. ``cautious``: they must hold at the bad
    end of the estimates. ``usd_per_hour`` replaces the catalog's price of ``gpu``."""

    prompt: int
    output: int
    ttft_ms: float | None = None
    itl_ms: float | None = None
    rate: float | None = None
    gpu: str | None = None
    precision: str | None = None
    usd_per_hour: float | None = None
    cautious: bool = False
    max_streams: int = MOST_STREAMS

    def __post_init__(self) -> None:
        context = published_model().context
        if self.prompt + self.output > context:
            raise BadQuestionError(
                f"--prompt-tokens {self.prompt} --output-tokens {self.output}: the model's context "
                f"is {context} tokens; give at most that together"
            )
        if self.precision is not None and self.precision not in PRECISIONS:
            raise BadQuestionError(
                f"--precision {self.precision}: known are {', '.join(PRECISIONS)}"
            )
        if self.gpu == CPU:
            raise BadQuestionError(
                "--gpu cpu: no speed is fitted for CPUs; measure the machine's own with "
                "`gemma4 load`"
            )
        if self.usd_per_hour is not None and self.gpu is None:
            raise BadQuestionError(
                f"--usd-per-hour {self.usd_per_hour:g}: needs --gpu, whose price it is"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One copy with ``streams`` requests at once. Times in ms, tokens/s of the copy, dollars for
    10^6 output tokens. ``copies`` carry the rate that was asked for; None where none was."""

    gpu: str
    card: Card
    split: Split
    status: str
    reason: str
    streams: int
    bound: str
    itl_ms: Span
    ttft_ms: Span
    tokens_per_s: Span
    usd_per_million: Span | None
    copies: Span | None
    middle: float

    @property
    def per_gpu(self) -> float:
        """Output tokens/s of one GPU, the middle estimate."""
        return self.middle / self.split.tp


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What was not ranked, and why."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Alone:
    """``ms`` are ITL and TTFT of one stream on ``what``, at the end of the estimate that has to
    hold."""

    what: str
    ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ranking:
    """``options`` with a price come first, the cheapest first; then those without, by tokens/s of a
    GPU."""

    options: tuple[Option, ...]
    left_out: tuple[LeftOut, ...]


def rank(question: FitQuestion, catalog: Catalog, fitted: Fitted) -> Ranking:
    """Rank all options. Raises :class:`BadQuestionError` where none holds the SLOs, with what would
    work."""
    options: list[Option] = []
    left_out: list[LeftOut] = []
    alone: list[_Alone] = []
    for name, card in _cards(question, catalog).items():
        precisions = PRECISIONS if question.precision is None else (question.precision,)
        for precision in precisions:
            missing = missing_figure(card, precision)
            if missing:
                left_out.append(LeftOut(f"{name} {precision}", f"the catalog has no {missing}"))
                continue
            for split in _splits(precision):
                found = _option(question, name, card, split, fitted, alone)
                if isinstance(found, Option):
                    options.append(found)
                elif split.tp == 1:
                    left_out.append(LeftOut(f"{name} {precision}", found))
    if not options:
        raise BadQuestionError(_nothing(question, alone, left_out))
    options.sort(key=_order)
    return Ranking(tuple(options), tuple(left_out))


def _cards(question: FitQuestion, catalog: Catalog) -> dict[str, Card]:
    if question.gpu is None:
        return catalog.gpus
    name, card = catalog.find(question.gpu)
    if question.usd_per_hour is not None:
        price = Price(
            low=question.usd_per_hour, high=question.usd_per_hour, source="--usd-per-hour",
            date="2000",
        )  # fmt: skip
        card = card.model_copy(update={"usd_per_hour": price})
    return {name: card}


def _splits(precision: str) -> Iterator[Split]:
    for tp, ep in _SPLITS:
        split = Split(precision=precision, tp=tp, ep=ep)  # type: ignore[arg-type]
        try:
            split.check()
        except BadQuestionError:
            continue
        yield split


def _option(
    question: FitQuestion,
    name: str,
    card: Card,
    split: Split,
    fitted: Fitted,
    alone: list[_Alone],
) -> Option | str:
    """Return the option, or why there is none. ``alone`` gets the times of one stream."""
    tokens = question.prompt + question.output
    plan = plan_gpu(name, card, split, tokens=(tokens,), slots=None)
    if plan.verdict.status == "no":
        return plan.verdict.reason
    fitting = int(plan.rooms[0].requests.low)
    if fitting < 1:
        return f"no request of {tokens:,} tokens fits for sure beside the weights"
    pace = CopyPace(
        name=name, card=card, split=split, prompt=question.prompt, output=question.output,
        fitted=fitted,
    )  # fmt: skip
    decode, prefill = fitted.errors(name)
    times = {
        "itl": (question.itl_ms, pace.itl, decode),
        "ttft": (question.ttft_ms, pace.ttft, prefill),
    }
    streams, bound = fitting, "memory"
    if question.max_streams < fitting:
        streams, bound = question.max_streams, "batch"
    room = streams
    alone.append(_Alone(
        f"{name} {split.precision} tp {split.tp}",
        {which: 1e3 * time(1) * (factor if question.cautious else 1.0)
         for which, (_, time, factor) in times.items()},
    ))  # fmt: skip
    for which, (limit, time, factor) in times.items():
        if limit is None:
            continue
        most = _most(time, limit / 1e3 / (factor if question.cautious else 1.0), room)
        if most < streams:
            streams, bound = most, which
    if streams < 1:
        return f"one stream alone is slower than --{bound}-ms {getattr(question, bound + '_ms'):g}"
    middle = pace.tokens_per_s(streams)
    speed = _about(middle, decode)
    price = card.usd_per_hour
    return Option(
        gpu=name,
        card=card,
        split=split,
        status=plan.verdict.status,
        reason=plan.verdict.explain(),
        streams=streams,
        bound=bound,
        itl_ms=_about(1e3 * pace.itl(streams), decode),
        ttft_ms=_about(1e3 * pace.ttft(streams), prefill),
        tokens_per_s=speed,
        usd_per_million=None if price is None else Span(
            _dollars(price.low, split.tp, speed.high), _dollars(price.high, split.tp, speed.low)
        ),
        copies=None if question.rate is None else Span(
            *(math.ceil(question.rate * question.output / end) for end in (speed.high, speed.low))
        ),
        middle=middle,
    )  # fmt: skip


def _most(time: Callable[[int], float], limit: float, room: int) -> int:
    """Return the most streams, up to ``room``, whose ``time`` keeps to ``limit``; it grows."""
    low, high = 0, room
    while low < high:
        middle = (low + high + 1) // 2
        if time(middle) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _about(value: float, factor: float) -> Span:
    return Span(value / factor, value * factor)


def _dollars(per_hour: float, gpus: int, tokens_per_s: float) -> float:
    return per_hour * gpus / (tokens_per_s * 3600) * 1e6


def _order(option: Option) -> tuple[int, float]:
    price = option.card.usd_per_hour
    if price is None:
        return 1, -option.per_gpu
    return 0, math.sqrt(price.low * price.high) / option.per_gpu


def _nothing(question: FitQuestion, alone: list[_Alone], left_out: list[LeftOut]) -> str:
    """Say which values have to change, and to what: those of the option that misses the least."""
    if not alone:
        first = left_out[0]
        return (
            f"--gpu {question.gpu or 'any'}: nothing can be ranked; {first.what}: {first.reason}; "
            "give another --gpu or --precision"
        )
    limits = {"itl": question.itl_ms, "ttft": question.ttft_ms}
    asked = {which: limit for which, limit in limits.items() if limit is not None}
    best = min(alone, key=lambda one: max(one.ms[which] / asked[which] for which in asked))
    missed = [which for which in asked if best.ms[which] > asked[which]]
    given = " ".join(f"--{which}-ms {asked[which]:g}" for which in missed)
    takes = " and ".join(f"{which.upper()} {best.ms[which]:.3g} ms" for which in missed)
    works = " ".join(f"--{which}-ms {_up(best.ms[which]):g}" for which in missed)
    end = " at the bad end of the estimate" if question.cautious else ""
    return (
        f"{given}: the nearest option, {best.what}, takes {takes}{end} with one stream; give "
        f"{works}, or another GPU"
    )


def _up(value: float) -> float:
    """Round up to three digits."""
    scale = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.ceil(value / scale * (1 - 1e-12)) * scale
