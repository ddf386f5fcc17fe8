"""What one invocation of ``gemma4 load`` does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from gemma4_client.address import without_user

from gemma4_load.drive.arrivals import ARRIVALS, Rate, parse_rate
from gemma4_load.drive.level import Level
from gemma4_load.errors import OptionError
from gemma4_load.metrics import REQUEST_METRICS, Slo
from gemma4_load.workloads.spec import WorkloadSpec

__all__ = ["Plan", "Search", "check_url", "parse_levels", "parse_slo"]

_MOST_BURSTINESS = 10_000
"""Gaps between arrivals are within 1 % of each other by then."""
_MOST_STREAMS = 100_000
"""Requests at once: one process cannot hold more."""
_BOUND = re.compile(r"([a-z_]+)=([0-9.]+)(ms|s|)")


@dataclass(frozen=True, slots=True)
class Search:
    """Over ``concurrency`` or ``rate``; ``attainment``: the share of requests that has to keep the
    SLOs; ``runs``: of each load, more than half of which have to."""

    over: str
    lowest: float
    limit: float
    attainment: float
    runs: int = 1

    def level(self, base: Level, load: float, run: int) -> Level:
        """Return a level with prompts of its own."""
        base = replace(base, run=run, seed=base.seed + run)
        if self.over == "concurrency":
            return replace(base, concurrency=int(load), rate=None)
        return replace(base, concurrency=None, rate=Rate(load, load))


@dataclass(frozen=True, slots=True)
class Plan:
    """``levels`` one after another, or ``search`` from ``base``. Seconds throughout."""

    url: str
    out: Path
    base: Level
    levels: tuple[Level, ...] = ()
    search: Search | None = None
    workload: WorkloadSpec = field(default_factory=WorkloadSpec)
    slos: tuple[Slo, ...] = ()
    model: str = ""
    metrics_url: str = ""
    timeout: float = 120.0
    max_client_lag: float = 0.025
    force: bool = False


def check_url(option: str, url: str) -> str:
    """Return the URL. Raises :class:`OptionError` for one with a user or a password, which others
    on the machine could read, and which the report would keep; it does not repeat them."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError as error:
        raise OptionError(f"{option} {url}: {error}") from None
    if "@" in parts.netloc:
        raise OptionError(
            f"{option} {without_user(parts.netloc)}: has a user or a password, which everybody on "
            "this machine could read; leave it out, and put an API key into GEMMA4_LOAD_API_KEY"
        )
    return url


def parse_slo(text: str) -> Slo:
    """Parse ``METRIC=LIMIT``; a time is in ms unless it says s. Raises :class:`OptionError`."""
    known = [m.name for m in REQUEST_METRICS.values() if m.better and m.name != "send_lag"]
    found = _BOUND.fullmatch(text.strip())
    if not found or found[1] not in known:
        raise OptionError(
            f"--slo {text}: use METRIC=LIMIT such as ttft=500ms; metrics are {', '.join(known)}"
        )
    metric = REQUEST_METRICS[found[1]]
    try:
        limit = float(found[2])
    except ValueError:
        raise OptionError(f"--slo {text}: {found[2]} is no number") from None
    if metric.unit == "s":
        return Slo(metric, limit if found[3] == "s" else limit / 1000)
    if found[3]:
        raise OptionError(f"--slo {text}: {metric.name} is in {metric.unit}, without {found[3]}")
    return Slo(metric, limit)


def parse_levels(base: Level, concurrency: str | None, rates: Sequence[str]) -> tuple[Level, ...]:
    """Parse the levels of ``--concurrency 1,8`` or ``--rate 1,2`` (a ramp is FROM:TO). Raises
    :class:`OptionError`."""
    if base.arrival not in ARRIVALS:
        raise OptionError(f"--arrival {base.arrival}: known are {', '.join(ARRIVALS)}")
    if not 0 < base.burstiness <= _MOST_BURSTINESS:
        raise OptionError(
            f"--burstiness {base.burstiness}: must be above 0, up to {_MOST_BURSTINESS}"
        )
    if concurrency is None:
        texts = [part for text in rates for part in text.split(",")]
        return tuple(replace(base, rate=parse_rate(text)) for text in texts)
    levels = []
    for text in concurrency.split(","):
        number = int(text) if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) else 0
        if not 0 < number <= _MOST_STREAMS:
            raise OptionError(
                f"--concurrency {text}: must be a whole number from 1 to {_MOST_STREAMS}"
            )
        levels.append(replace(base, concurrency=number))
    return tuple(levels)
