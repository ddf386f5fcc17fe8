"""Is B worse than A? With confidence intervals, for a person and for CI."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import DegenerateDataWarning, bootstrap

from gemma4_load.errors import OptionError
from gemma4_load.metrics import REQUEST_METRICS
from gemma4_load.report.files import read_report, read_requests

__all__ = ["COMPARED", "Difference", "compare"]

COMPARED = {"ttft": (50, 99), "itl": (50, 99), "latency": (50, 99)}
"""Metrics of the requests, and the percentiles of each."""
Floats = NDArray[np.float64]
_RESAMPLES = 2000
"""Resamples of the bootstrap."""
_LEAST = 8
"""Requests, or blocks of time, that each side needs for an interval."""
_BLOCKS = 20
"""Blocks of time into which the window is cut for the interval of the throughput."""
_ZERO = 1e-9
"""Seconds, or tokens/s, that count as 0: nothing is divided by them."""
_ARRIVALS = ("arrival", "burstiness")
"""Of a level, what its label does not say and makes it another load."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``ratio`` is B / A with a 95 % interval; ``verdict`` is worse, better or same: the whole
    interval is beyond the threshold, or not. Where A is 0, or is so in some resamples, the ratio
    and its interval are NaN and ``verdict`` is ``-``. Units are those of the metric."""

    level: str
    metric: str
    a: float
    b: float
    ratio: float
    low: float
    high: float
    verdict: str

    @property
    def defined(self) -> bool:
        """Return True when there is a ratio."""
        return self.verdict != "-"


def _verdict(low: float, high: float, better: str, threshold: float) -> str:
    if np.isnan(low):
        return "-"
    if better == "higher":
        low, high = 1 / high if high else np.inf, 1 / low if low else np.inf
    if low > 1 + threshold:
        return "worse"
    return "better" if high < 1 / (1 + threshold) else "same"


def _ratio(
    a: Floats, b: Floats, percentile: float | None, seed: int
) -> tuple[float, float, float, float, float]:
    """Return A, B and B / A of a percentile, or of the mean; with the percentile bootstrap's 95 %
    interval (Efron 1979; scipy). A ratio over 0, also in a resample, has no interval."""

    def of(data: Floats, axis: int = -1) -> Any:
        if percentile is None:
            return np.mean(data, axis=axis)
        return np.percentile(data, percentile, axis=axis)

    def statistic(x: Floats, y: Floats, axis: int = -1) -> Any:
        over = np.asarray(of(x, axis))
        return np.divide(of(y, axis), over, out=np.full(over.shape, np.nan), where=over > _ZERO)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # the interval is NaN, and said so
        found = bootstrap(
            (a, b), statistic, n_resamples=_RESAMPLES, method="percentile", vectorized=True,
            batch=200, rng=np.random.default_rng(seed),
        )  # fmt: skip
    low, high = found.confidence_interval
    figures = (float(statistic(a, b)), float(low), float(high))
    ratio, low, high = figures if np.isfinite(figures).all() else (np.nan, np.nan, np.nan)
    return float(of(a)), float(of(b)), ratio, low, high


def _values(rows: list[dict[str, str]], level: str, metric: str) -> Floats:
    return np.array(
        [
            float(r[metric])
            for r in rows
            if r["level"] == level and r["measured"] == "1" and r[metric]
        ]
    )


def _blocks(level: dict[str, Any]) -> Floats:
    """Return the output tokens/s in up to twenty blocks of whole seconds of the window."""
    begin, end = level["window"]["begin"], level["window"]["end"]
    inside = level["timeline"]["output_tokens"][int(np.ceil(begin)) : int(end)]
    parts = np.array_split(np.array(inside, dtype=float), min(_BLOCKS, max(1, len(inside))))
    return np.array([part.mean() for part in parts if len(part)])


def _unlike(a: Mapping[str, Any], b: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [
        f"{name} is {a.get(name)} in A and {b.get(name)} in B"
        for name in names
        if a.get(name) != b.get(name)
    ]


def _same_work(
    reports: Sequence[Mapping[str, Any]], levels: Sequence[Any], common: Iterable[str]
) -> None:
    """Raise :class:`OptionError` when A and B were asked for different things."""
    a, b = (report.get("workload", {}) for report in reports)
    found = _unlike(a, b, sorted({*a, *b}))
    for label in common:
        a, b = (side[label].get("level", {}) for side in levels)
        found += [f"{label}: {line}" for line in _unlike(a, b, _ARRIVALS)]
    if found:
        raise OptionError(
            f"the workloads differ: {'; '.join(found)}. Repeat one of the runs, or add "
            "--any-workload if this is what you compare"
        )


def compare(a: Path, b: Path, *, threshold: float, any_workload: bool = False) -> list[Difference]:
    """Compare every metric of every level that both have. ``threshold``: share by which B may be
    worse. Raises :class:`OptionError` when there is nothing to compare, or when the workloads
    differ and ``any_workload`` is not set."""
    reports, rows = [read_report(a), read_report(b)], [read_requests(a), read_requests(b)]
    levels = [{level["label"]: level for level in report["levels"]} for report in reports]
    common = [label for label in levels[0] if label in levels[1]]
    if not common:
        raise OptionError(
            f"no level in common: {a} has {', '.join(levels[0]) or 'none'}; "
            f"{b} has {', '.join(levels[1]) or 'none'}"
        )
    if not any_workload:
        _same_work(reports, levels, common)
    for side, path in zip(levels, (a, b), strict=True):
        for label in common:
            if not side[label]["valid"]:
                why = side[label]["invalid_reasons"] or [side[label]["stopped"]]
                raise OptionError(f"{path}, {label}: the run is not valid: {'; '.join(why)}")
    found: list[Difference] = []
    for label in common:
        for name, percentiles in COMPARED.items():
            values = [_values(side, label, name) for side in rows]
            if min(map(len, values)) < _LEAST:
                continue
            for percentile in percentiles:
                figures = _ratio(values[0], values[1], percentile, seed=len(found))
                better = REQUEST_METRICS[name].better or "lower"
                verdict = _verdict(figures[3], figures[4], better, threshold)
                found.append(Difference(label, f"{name} p{percentile}", *figures, verdict))
        blocks = [_blocks(side[label]) for side in levels]
        if min(map(len, blocks)) >= _LEAST:
            figures = _ratio(blocks[0], blocks[1], None, seed=len(found))
            verdict = _verdict(figures[3], figures[4], "higher", threshold)
            found.append(Difference(label, "output_throughput", *figures, verdict))
    if not found:
        raise OptionError(f"too few requests to compare: at least {_LEAST} on each side are needed")
    return found
