"""Parts that several commands print. A key is always there; None (JSON's null) says that there is
no such figure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

__all__ = ["Deploy", "Host", "LeftOut", "Percentiles", "Range", "SecondOpinion", "strict"]

strict = ConfigDict(extra="forbid", allow_inf_nan=False)

Range = Annotated[list[float], Field(min_length=2, max_length=2)]
"""[low, high], both included."""


@with_config(strict)
class Percentiles(TypedDict):
    """Seconds. Between p95_low and p95_high lies the p95 of another such time, 19 times of 20."""

    count: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p95_low: float | None
    p95_high: float | None


@with_config(strict)
class LeftOut(TypedDict):
    """What was not considered, and why."""

    what: str
    reason: str


@with_config(strict)
class Host(TypedDict):
    """Processors and network beside the GPUs: cores, and bytes/s."""

    tokens_per_s: float
    triton_cores: Range
    gateway_cores: Range
    gateways: int
    bytes_per_s_to_clients: Range
    bytes_per_s_from_triton: Range
    bytes_per_s_of_prompts: Range
    sources: list[str]


@with_config(strict)
class Deploy(TypedDict):
    """What deploys it: the build's command, variables of docker-compose.yml (null where its build
    has no such options), and values of the Helm chart."""

    build: str
    preset: str
    compose: dict[str, str] | None
    helm: dict[str, Any]


@with_config(strict)
class SecondOpinion(TypedDict):
    """What another program predicts for one copy on ``gpus`` of ``gpu``. Where it has no figures,
    ``missing`` says why; otherwise that is null. ``engine``: whose measurements it took."""

    program: str
    version: str
    gpu: str
    precision: str
    gpus: int
    missing: str | None
    streams: int | None
    itl_ms: float | None
    ttft_ms: float | None
    tokens_per_s: float | None
    tokens_per_s_per_gpu: float | None
    tensor_parallel: int | None
    engine: str | None
