"""What answers: replicas, the gateways before them, and how their number changes."""

from __future__ import annotations

from dataclasses import dataclass, field

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate.host_times import Measured
from gemma4_plan.simulate.steps import StepTimes, StreamPace

__all__ = ["Autoscaling", "Failures", "Fleet", "Gateway", "Replica"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One copy of the model, on ``gpus`` GPUs.

    ``pace`` gives the seconds of a step (or, for the synthetic engine, of each stream by itself).
    ``slots`` requests run at once, ``max_queued`` wait, the next is refused. A step takes a token
    of each running answer and, of prompts, what is left of ``step_tokens`` (TensorRT-LLM's
    ``max_num_tokens``; llama.cpp's batch). ``kv_tokens``: prompt and answer tokens that all running
    requests together have room for; None where each slot has its own room (llama.cpp). When it is
    full, the youngest request is suspended, and goes on later without computing anything again, as
    TensorRT-LLM's MAX_UTILIZATION with host memory does. ``prefix_tokens``: of prompts that are
    kept for requests that begin with the same; 0 as in our presets, which reuse no blocks.
    ``overhead_s``: what every request takes before it reaches the engine (gateway, Triton,
    tokenizing); ``host`` replaces it by times that vary, and grow with the requests at once."""

    pace: StepTimes | StreamPace
    slots: int
    max_queued: int = 256
    step_tokens: int = 8192
    kv_tokens: int | None = None
    prefix_tokens: int = 0
    overhead_s: float = 0.0
    host: Measured = ()
    gpus: int = 1

    def __post_init__(self) -> None:
        for name, least in (
            ("slots", 1), ("max_queued", 0), ("step_tokens", 1), ("prefix_tokens", 0), ("gpus", 0),
        ):  # fmt: skip
            value = getattr(self, name)
            if value < least:
                raise BadQuestionError(f"{name} {value}: must be at least {least}")
        if self.step_tokens < self.slots:
            raise BadQuestionError(
                f"step_tokens {self.step_tokens}: a step has a token of each of the "
                f"{self.slots} slots; give at least {self.slots}"
            )
        if self.kv_tokens is not None and self.kv_tokens < 1:
            raise BadQuestionError(
                f"kv_tokens {self.kv_tokens}: holds no request; give the replica more memory, or "
                "None where each slot has its own"
            )
        if self.overhead_s < 0:
            raise BadQuestionError(f"overhead_s {self.overhead_s:g}: must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """``gateways`` of them, among which requests are spread evenly; each knows only its own
    requests. ``imbalance`` and ``max_running`` are the options of ``gemma4 gateway``. ``keys``: API
    keys that send equally much; the limits are of each, 0 is none."""

    gateways: int = 1
    imbalance: int = 8
    max_running: int = 1024
    keys: int = 1
    key_running: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("gateways", 1), ("imbalance", 0), ("max_running", 1), ("keys", 1), ("key_running", 0),
            ("requests_per_minute", 0), ("tokens_per_minute", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise BadQuestionError(f"{name} {getattr(self, name)}: must be at least {least}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """As the chart's ``autoscaling`` with KEDA: every ``poll_s`` the wanted replicas are the
    requests at the gateways / ``running`` or those that wait / ``waiting``, whichever is more.
    ``running`` None is three quarters of the slots. A new replica takes requests ``start_s``
    seconds later, and costs from the beginning. Fewer are wanted only when ``down_after_s`` agree,
    and then ``down_per_minute`` go; they end what they run."""

    least: int = 1
    most: int
    start_s: float = 180.0
    poll_s: float = 15.0
    running: float | None = None
    waiting: float = 4.0
    down_after_s: float = 600.0
    down_per_minute: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise BadQuestionError(
                f"--min-replicas {self.least}: must be 1 to --max-replicas, which is {self.most}"
            )
        for name in ("poll_s", "waiting", "down_per_minute"):
            if not getattr(self, name) > 0:
                raise BadQuestionError(f"{name} {getattr(self, name):g}: must be above 0")
        if self.start_s < 0 or self.down_after_s < 0:
            raise BadQuestionError("start_s, down_after_s: must not be negative")
        if self.running is not None and not self.running > 0:
            raise BadQuestionError(f"running {self.running:g}: must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """A replica is lost after ``every_s`` seconds on average (exponential), with all that it runs
    and all that waits there: those requests fail. It answers again ``back_s`` seconds later and
    costs all the time."""

    every_s: float
    back_s: float = 180.0

    def __post_init__(self) -> None:
        if not self.every_s > 0:
            raise BadQuestionError(f"every_s {self.every_s:g}: must be above 0")
        if self.back_s < 0:
            raise BadQuestionError(f"back_s {self.back_s:g}: must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """``replicas`` of ``replica``, ready at the start; with ``autoscaling`` its bounds hold and
    ``replicas`` is where it begins."""

    replica: Replica
    replicas: int = 1
    gateway: Gateway = field(default_factory=Gateway)
    autoscaling: Autoscaling | None = None
    failures: Failures | None = None

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise BadQuestionError(f"--replicas {self.replicas}: must be at least 1")
        scaling = self.autoscaling
        if scaling is not None and not scaling.least <= self.replicas <= scaling.most:
            raise BadQuestionError(
                f"--replicas {self.replicas}: must be {scaling.least} to {scaling.most}, between "
                "which the autoscaling stays"
            )

    @property
    def most(self) -> int:
        """Replicas that there are at most."""
        return self.replicas if self.autoscaling is None else self.autoscaling.most
