"""When requests come, and what they are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gemma4_load.workloads.lengths import Length
from gemma4_load.workloads.trace import BLOCK_TOKENS

from gemma4_plan.simulate.request import Block
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["Batch", "Draws", "arrival_times", "open_loop"]

Floats = npt.NDArray[np.float64]
BATCH = 4096
"""Requests that are drawn at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests in order, a list entry each. ``affinity``: 64 bits by which the gateway prefers a
    replica; ``spread``: a number from 0 to 1 that chooses gateway and key."""

    times: list[float]
    prompts: list[int]
    outputs: list[int]
    blocks: list[tuple[Block, ...]]
    affinity: npt.NDArray[np.uint64]
    spread: list[float]


class Draws:
    """What the seed decides. Each has a stream of random numbers of its own, so that the n-th
    request is the same whatever the rate and the fleet are."""

    def __init__(self, traffic: Traffic, seed: int) -> None:
        self._traffic = traffic
        self._rngs = [np.random.default_rng([seed, purpose]) for purpose in range(6)]

    def gaps(self, count: int, share: float) -> Floats:
        """Return times between arrivals, in units of their mean: those of a Poisson process, or of
        one whose count varies as little, against its mean, as that of the whole traffic of which it
        is a ``share``."""
        if share < 1:
            return self._rngs[0].gamma(1 / share, share, size=count)
        return self._rngs[0].exponential(size=count)

    def batch(self, times: list[float]) -> Batch:
        """Draw the requests that come at ``times``."""
        traffic, count = self._traffic, len(times)
        prompts = drawn(traffic.prompt, self._rngs[1], count)
        outputs = drawn(traffic.output, self._rngs[2], count)
        affinity = self._rngs[3].integers(0, 2**64, count, dtype=np.uint64)
        blocks: list[tuple[Block, ...]] = [()] * count
        if traffic.shared_prefixes:
            groups = self._rngs[4].integers(0, traffic.shared_prefixes, count)
            affinity = _mixed(groups.astype(np.uint64))
            prompts += traffic.prefix_tokens
            blocks = [((int(group), traffic.prefix_tokens),) for group in groups]
        spread = self._rngs[5].random(count).tolist()
        return Batch(times, prompts.tolist(), outputs.tolist(), blocks, affinity, spread)

    def traced(self, times: list[float], lines: list[dict[str, Any]]) -> Batch:
        """Take the requests of a trace, which come at ``times``."""
        count = len(lines)
        affinity = self._rngs[3].integers(0, 2**64, count, dtype=np.uint64)
        blocks: list[tuple[Block, ...]] = []
        for index, line in enumerate(lines):
            names = line.get("hash_ids") or ()
            left = line["input_length"]
            found = []
            for name in names:
                if left <= 0:
                    break
                found.append((name, min(left, BLOCK_TOKENS)))
                left -= BLOCK_TOKENS
            blocks.append(tuple(found))
            if found:
                affinity[index] = _mixed(np.array([found[0][0]], dtype=np.uint64))[0]
        spread = self._rngs[5].random(count).tolist()
        return Batch(
            times, [line["input_length"] for line in lines],
            [line["output_length"] for line in lines], blocks, affinity, spread,
        )  # fmt: skip

    def keeps(self, count: int, share: float) -> npt.NDArray[np.bool_]:
        """Say which of ``count`` requests a sample of ``share`` of the fleet gets."""
        return self._rngs[4].random(count) < share


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return 64 bits that look random for each number (splitmix64)."""
    with np.errstate(over="ignore"):
        mixed = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def drawn(length: Length, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """Draw ``count`` lengths as :meth:`Length.draw` does one."""
    found: npt.NDArray[Any]
    if length.kind == "uniform":
        found = rng.integers(int(length.a), int(length.b) + 1, count)
    elif length.kind == "normal":
        found = np.rint(rng.normal(length.a, length.b, count))
    elif length.kind == "lognormal":
        found = np.rint(length.a * np.exp(rng.normal(0.0, length.b, count)))
    else:
        found = np.full(count, math.floor(length.a))
    return np.maximum(1, found).astype(np.int64)


def arrival_times(rates: tuple[tuple[float, float], ...], counts: Floats) -> Floats:
    """Return when so many requests are due in the mean: the inverse of the integral of ``rates``.
    Beyond the end it is inf."""
    times = np.array([point[0] for point in rates])
    values = np.array([point[1] for point in rates])
    widths = np.diff(times)
    areas = np.concatenate(([0.0], np.cumsum(widths * (values[1:] + values[:-1]) / 2)))
    index = np.minimum(np.searchsorted(areas, counts, side="right") - 1, len(widths) - 1)
    slope = (np.diff(values) / widths)[index]
    start, rest = values[index], counts - areas[index]
    # start * t + slope * t**2 / 2 = rest, in the form that is exact for small slopes too
    under = np.maximum(start * start + 2 * slope * rest, 0.0)
    found = times[index] + 2 * rest / np.maximum(start + np.sqrt(under), 1e-300)
    return np.where(counts >= areas[-1], np.inf, found)


def open_loop(traffic: Traffic, draws: Draws, share: float) -> Iterator[Batch]:
    """Give the requests of an open loop or a trace, of which the fleet gets ``share``."""
    if traffic.rates:
        rates = tuple((at, rate * share) for at, rate in traffic.rates)
        count = 0.0
        while True:
            counts = count + np.cumsum(draws.gaps(BATCH, share))
            count = float(counts[-1])
            times = arrival_times(rates, counts)
            times = times[np.isfinite(times)]
            if len(times):
                yield draws.batch(times.tolist())
            if len(times) < BATCH:
                return
    yield from _replay(traffic, draws, share)


def _replay(traffic: Traffic, draws: Draws, share: float) -> Iterator[Batch]:
    lines = traffic.trace
    first = lines[0]["timestamp"]
    at = np.array([line["timestamp"] - first for line in lines]) / 1e3 / traffic.speed
    # A trace that begins again goes on after the mean gap.
    period = float(at[-1]) * (1 + 1 / max(len(lines) - 1, 1)) or 1.0
    end = math.inf if traffic.seconds is None else traffic.seconds
    begin = 0.0
    while True:
        for low in range(0, len(lines), BATCH):
            part = list(lines[low : low + BATCH])
            times = begin + at[low : low + BATCH]
            kept = times <= end
            if share < 1:
                kept &= draws.keeps(len(part), share)
            if kept.any():
                chosen = [line for line, keep in zip(part, kept, strict=True) if keep]
                yield draws.traced(times[kept].tolist(), chosen)
        begin += period
        if not traffic.repeat or begin > end:
            return
