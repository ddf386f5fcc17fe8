"""The form of what an alert is tested with, and series of metrics, minute by minute."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DAY",
    "GATEWAY",
    "GATEWAY_POD",
    "NONE",
    "OTHER",
    "POD",
    "SIDECAR",
    "TRITON",
    "Case",
    "counter",
    "failures",
    "gauge",
    "requests",
    "success",
    "ttft",
]

TRITON = 'job="triton",instance="triton:8002"'
OTHER = 'job="triton",instance="triton2:8002"'
GATEWAY = 'job="gateway",instance="gateway:8080"'
POD = (
    'namespace="llm",job="llm/gemma4-triton",pod="gemma4-triton-0",endpoint="metrics",'
    'instance="10.0.0.1:8002"'
)
GATEWAY_POD = (
    'namespace="llm",job="llm/gemma4-gateway",pod="gemma4-gateway-0",endpoint="openai",'
    'instance="10.0.0.2:8080"'
)
SIDECAR = (
    'namespace="llm",job="llm/gemma4-triton",pod="gemma4-triton-0",endpoint="openai",'
    'instance="10.0.0.1:8080"'
)
DAY = 86400
NONE = "_"
"""No sample."""


@dataclass(frozen=True)
class Case:
    """``series``: name with labels to a value a minute, from minute 0. ``firing`` and ``quiet``:
    minutes. ``why``: what the case is about."""

    alert: str
    severity: str
    why: str
    series: dict[str, str]
    firing: tuple[int, ...] = ()
    quiet: tuple[int, ...] = ()


def counter(*parts: tuple[int, float]) -> str:
    """``(minutes, more each minute)``; a negative number of minutes starts again from 0."""
    value, values = 0.0, ["0"]
    for minutes, step in parts:
        if minutes < 0:
            value = 0.0
        for _ in range(abs(minutes)):
            value += step
            values.append(f"{value:g}" if value < 1e6 else f"{value:.0f}")
    return " ".join(values)


def gauge(*parts: tuple[int, float | str]) -> str:
    """``(minutes, value)``."""
    return " ".join(str(value) for minutes, value in parts for _ in range(minutes))


def requests(labels: str, good: str, bad: str) -> dict[str, str]:
    name = "gemma4_gateway_requests_total"
    return {
        f'{name}{{{labels},route="chat",status="200"}}': good,
        f'{name}{{{labels},route="chat",status="503"}}': bad,
        f"gemma4_gateway_draining{{{labels}}}": gauge((len(good.split()), 0)),
    }


def ttft(labels: str, all_: str, good: str) -> dict[str, str]:
    return {
        f'gemma4_gateway_ttft_seconds_count{{{labels},route="chat"}}': all_,
        f'gemma4_gateway_ttft_seconds_bucket{{{labels},route="chat",le="2.5"}}': good,
        f"gemma4_gateway_draining{{{labels}}}": gauge((len(all_.split()), 0)),
    }


def failures(labels: str, status: str, code: str, values: str) -> dict[str, str]:
    what = f'{labels},status="{status}",code="{code}",step="engine"'
    return {f"gemma4_request_failure_total{{{what}}}": values}


def success(labels: str, values: str) -> dict[str, str]:
    return {f'gemma4_request_success_total{{{labels},finished_reason="stop"}}': values}
