"""How long requests take outside of the engine: client, gateway, Triton, tokenizing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["HostTimes", "Measured", "times_by_load"]

Measured = tuple[tuple[int, tuple[float, ...]], ...]
"""Requests at once, and seconds that a request took then: evenly spaced quantiles, rising."""

_QUANTILES = 20
"""Of the seconds; each stands for as many requests."""
_FEW = 20
"""Requests at one load, below which it is put together with the next."""


class HostTimes:
    """Draws a time for each request, between those that were measured at fewer and at more requests
    at once. A host that shares its processors with an engine takes longer when there is more to do,
    and not always as long."""

    def __init__(self, measured: Measured, seed: int) -> None:
        self._loads = [float(at) for at, _ in measured]
        self._times: npt.NDArray[np.float64] = np.array([times for _, times in measured])
        self._rng = np.random.default_rng([seed, 101])

    def draw(self, at_once: int) -> float:
        """Return the seconds of a request that comes while so many are there."""
        place = self._rng.random() * self._times.shape[1] - 0.5
        ranks = range(self._times.shape[1])
        values = [float(np.interp(place, ranks, times)) for times in self._times]
        return float(np.interp(at_once, self._loads, values))


def times_by_load(seen: Sequence[tuple[int, float]]) -> Measured:
    """Return the quantiles of (requests at once, seconds), for each load of which there are
    enough. More load takes no less: what was measured so is noise."""
    if not seen:
        return ()
    groups: list[list[tuple[int, float]]] = [[]]
    for pair in sorted(seen):
        if len(groups[-1]) >= _FEW and pair[0] != groups[-1][-1][0]:
            groups.append([])
        groups[-1].append(pair)
    if len(groups) > 1 and len(groups[-1]) < _FEW:
        last = groups.pop()
        groups[-1] += last
    shares = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    found: list[tuple[int, tuple[float, ...]]] = []
    for group in groups:
        at = round(float(np.mean([load for load, _ in group])))
        times = np.maximum(np.quantile([seconds for _, seconds in group], shares), 0.0)
        if found:
            times = np.maximum(times, found[-1][1])
        found.append((at, tuple(float(time) for time in times)))
    return tuple(found)
