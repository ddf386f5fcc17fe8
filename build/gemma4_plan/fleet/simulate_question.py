"""The question of ``gemma4 plan simulate``, checked, and the traffic and fleet that it means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gemma4_load.workloads.lengths import Length
from gemma4_runtime.trtllm.presets import PRESETS, Preset
from gemma4_runtime.trtllm.setup import PRECISIONS

from gemma4_plan.catalog import CPU, Card, Catalog
from gemma4_plan.errors import BadQuestionError
from gemma4_plan.fleet.lengths import mean
from gemma4_plan.fleet.replica import QUEUED, replica_of
from gemma4_plan.fleet.requests import check_lengths, check_trace
from gemma4_plan.fleet.steps import End
from gemma4_plan.gpu_memory import Split, plan_gpu
from gemma4_plan.options import MOST_STREAMS
from gemma4_plan.simulate.fleet import Autoscaling, Failures, Fleet, Gateway, Replica
from gemma4_plan.simulate.measured import MeasuredSteps, StepFile
from gemma4_plan.simulate.steps import StreamPace
from gemma4_plan.simulate.traffic import DAY_S, Slos, Traffic, day_rates
from gemma4_plan.speed.fitted import Fitted
from gemma4_plan.speed.pace import missing_figure

__all__ = ["SimulateQuestion"]


@dataclass(frozen=True, kw_only=True)
class SimulateQuestion:
    """One of ``rate`` (requests/s, the mean of a day), ``users`` (a closed loop) and ``trace``
    (checked lines); one of ``gpu`` and ``steps``, a file of measured ones. ``seconds`` None is a
    day, or the trace once; ``gateways`` None as many as keep their limit of requests at once from
    being reached. Raises :class:`BadQuestionError` for what does not go together."""

    prompt: Length
    output: Length
    rate: float | None = None
    users: int | None = None
    trace: Sequence[dict[str, Any]] = ()
    trace_speed: float = 1.0
    peak: float = 1.0
    seconds: float | None = None
    warmup: float = 0.0
    shared_prefixes: int = 0
    prefix_tokens: int = 0
    slos: Slos = field(default_factory=Slos)
    gpu: str | None = None
    precision: str = "fp8"
    tp: int = 1
    ep: int | None = None
    preset: str = "throughput"
    steps: StepFile | None = None
    slots: int | None = None
    max_queued: int = QUEUED
    prefix_cache: int = 0
    replicas: int = 1
    autoscaling: Autoscaling | None = None
    failures: Failures | None = None
    gateways: int | None = None
    gateway: Gateway = field(default_factory=Gateway)

    def __post_init__(self) -> None:
        if (self.gpu is None) == (self.steps is None):
            raise BadQuestionError(
                "give --gpu, such as --gpu h200, or --steps FILE of an engine that was measured"
            )
        if self.gpu == CPU:
            raise BadQuestionError(
                "--gpu cpu: no speed is fitted for CPUs; give --steps FILE of the machine's own"
            )
        if self.precision not in PRECISIONS:
            raise BadQuestionError(
                f"--precision {self.precision}: known are {', '.join(PRECISIONS)}"
            )
        if self.preset not in PRESETS:
            raise BadQuestionError(f"--preset {self.preset}: known are {', '.join(PRESETS)}")
        if self.peak != 1 and (self.rate is None or self.seconds is not None):
            raise BadQuestionError(f"--peak {self.peak:g}: is of a day; give --rate, no --seconds")
        if bool(self.shared_prefixes) != bool(self.prefix_tokens):
            raise BadQuestionError(
                f"--shared-prefixes {self.shared_prefixes} --prefix-tokens {self.prefix_tokens}: "
                "give both, or neither"
            )
        check_trace(self.trace, self.trace_speed)
        if not self.trace:
            check_lengths(self.prompt, self.output, before=self.prefix_tokens)

    @cached_property
    def lengths(self) -> tuple[float, float]:
        """The means of prompts and answers, in tokens."""
        if self.trace:
            count = len(self.trace)
            return (
                sum(line["input_length"] for line in self.trace) / count,
                sum(line["output_length"] for line in self.trace) / count,
            )
        return mean(self.prompt) + self.prefix_tokens, mean(self.output)

    @property
    def tokens(self) -> int:
        """Tokens of a mean request."""
        return max(2, round(sum(self.lengths)))

    def traffic(self) -> Traffic:
        """Return what comes in."""
        rates: tuple[tuple[float, float], ...] = ()
        if self.rate is not None:
            rates = day_rates(self.rate, peak=self.peak)
            if self.seconds is not None:
                rates = ((0.0, self.rate), (self.seconds, self.rate))
        seconds = None if rates else self.seconds
        return Traffic(
            rates=rates,
            users=self.users,
            trace=self.trace,
            speed=self.trace_speed,
            repeat=bool(self.trace) and self.seconds is not None,
            seconds=seconds or (None if self.users is None else DAY_S),
            warmup=self.warmup,
            prompt=self.prompt,
            output=self.output,
            shared_prefixes=self.shared_prefixes,
            prefix_tokens=self.prefix_tokens,
            slos=self.slos,
        )

    def fleet(self, catalog: Catalog, fitted: Fitted, end: End = "middle") -> Fleet:
        """Return what answers, at one end of the estimated speed. Raises
        :class:`BadQuestionError` where the model does not fit, or nothing could hold the SLOs."""
        replica = self._measured() if self.steps else self._estimated(catalog, fitted, end)
        self._possible(replica)
        most = self.replicas if self.autoscaling is None else self.autoscaling.most
        gateways = self.gateways
        if gateways is None:
            at_once = most * (replica.slots + replica.max_queued)
            gateways = math.ceil(at_once / self.gateway.max_running)
        given = {name: getattr(self.gateway, name) for name in self.gateway.__slots__}
        return Fleet(
            replica=replica,
            replicas=self.replicas,
            gateway=Gateway(**given | {"gateways": gateways}),
            autoscaling=self.autoscaling,
            failures=self.failures,
        )

    def _measured(self) -> Replica:
        assert self.steps is not None
        return Replica(
            pace=MeasuredSteps(self.steps),
            slots=self.slots or self.steps.slots,
            max_queued=self.max_queued,
            step_tokens=self.steps.step_tokens,
            prefix_tokens=self.prefix_cache,
            overhead_s=self.steps.overhead_s,
            host=self.steps.host,
        )

    def _estimated(self, catalog: Catalog, fitted: Fitted, end: End) -> Replica:
        assert self.gpu is not None
        name, card = catalog.find(self.gpu)
        missing = missing_figure(card, self.precision)
        if missing:
            raise BadQuestionError(
                f"--gpu {name} --precision {self.precision}: the catalog has no {missing}; add it "
                "to a copy (`gemma4 plan catalog --yaml`)"
            )
        split = Split(
            precision=self.precision,  # type: ignore[arg-type]
            tp=self.tp,
            ep=self.tp if self.ep == 0 or self.ep is None else self.ep,
        )
        prompt, output = self.lengths
        preset: Preset = self.preset  # type: ignore[assignment]
        found = replica_of(
            name, card, split, fitted, slots=self._slots(name, card, split, preset), prompt=prompt,
            output=output, end=end, preset=preset,
        )  # fmt: skip
        given = {field: getattr(found, field) for field in found.__slots__}
        return Replica(
            **given | {"max_queued": self.max_queued, "prefix_tokens": self.prefix_cache}
        )

    def _slots(self, name: str, card: Card, split: Split, preset: Preset) -> int:
        """Return the slots that were asked for, or as many mean requests as fit."""
        tokens = self.tokens
        plan = plan_gpu(name, card, split, tokens=(tokens,), slots=self.slots, preset=preset)
        if plan.verdict.status == "no":
            raise BadQuestionError(
                f"--gpu {name} --precision {self.precision}: {plan.verdict.explain()}; "
                f"`gemma4 plan memory --gpu {name}` shows what runs"
            )
        fitting = int(plan.rooms[0].requests.low)
        if fitting < 1:
            raise BadQuestionError(
                f"--gpu {name} --precision {self.precision} --tp {self.tp}: holds no request of "
                f"{tokens} tokens beside the weights; give --tp {2 * self.tp}, or another of "
                "`gemma4 plan memory`"
            )
        return self.slots or min(MOST_STREAMS, fitting)

    def _possible(self, replica: Replica) -> None:
        """Raise :class:`BadQuestionError` for an SLO that one request alone would break."""
        assert not isinstance(replica.pace, StreamPace)
        prompt = self.lengths[0]
        if self.trace:
            prompt = min(line["input_length"] for line in self.trace)
        chunk = min(round(prompt), replica.step_tokens)
        itl = replica.pace.seconds(1, prompt, 0, 0.0)
        ttft = replica.overhead_s + replica.pace.seconds(0, 0.0, max(1, chunk), chunk / 2)
        if not self.prefix_cache and chunk < prompt:
            ttft += (prompt - chunk) / chunk * replica.pace.seconds(0, 0.0, chunk, prompt / 2)
        first = 0.0 if self.prefix_cache else ttft
        output = self.lengths[1]
        if self.trace:
            output = min(line["output_length"] for line in self.trace)
        least = {"itl": itl, "ttft": first, "e2e": first + itl * (output - 1)}
        for name, alone in least.items():
            limit = getattr(self.slos, f"{name}_s")
            # Lengths that are drawn may be shorter than their mean, and answer sooner.
            lengths = {"ttft": [self.prompt], "e2e": [self.prompt, self.output]}.get(name, [])
            drawn = not self.trace and any(length.kind != "fixed" for length in lengths)
            if limit is not None and limit < alone and not drawn:
                raise BadQuestionError(
                    f"--{name}-ms {limit * 1e3:g}: one request alone takes {alone * 1e3:.3g} ms on "
                    "this replica; give more than that, or a faster one (`gemma4 plan fit`)"
                )
