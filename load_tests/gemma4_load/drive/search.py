"""The highest load that still meets the SLOs."""

from __future__ import annotations

from collections.abc import Generator

__all__ = ["highest", "voted"]

Trial = Generator[float, bool, float | None]
"""Yields loads, is sent whether each met the SLOs, returns the highest that did."""


def highest(lowest: float, limit: float, *, whole: bool, precision: float = 0.1) -> Trial:
    """Return the highest load that meets the SLOs; None when not even ``lowest`` did. Doubles up to
    the first that fails or to ``limit``, then halves the interval until it is within ``precision``
    (a share of its lower end), or, with ``whole``, until its ends are neighbors."""
    good: float | None = None
    bad: float | None = None
    load = lowest
    while True:
        if (yield load):
            good = load
            if load >= limit:
                return good
        else:
            bad = load
            if good is None:
                return None
        if bad is None:
            load = min(limit, load * 2)
            continue
        assert good is not None
        if bad - good <= max(precision * good, 1.0 if whole else 0.0):
            return good
        load = (good + bad) / 2
        if whole:
            load = float(int(load))


def voted(trial: Trial, runs: int) -> Generator[tuple[float, int], bool, float | None]:
    """Try ``trial`` with each of its loads, and the number of the run from 0 on, up to ``runs``
    times: a load meets the SLOs when more than half of its runs do. It stops when that is
    decided."""
    load = next(trial)
    try:
        while True:
            met = missed = 0
            while met * 2 <= runs and missed * 2 < runs:
                if (yield load, met + missed):
                    met += 1
                else:
                    missed += 1
            load = trial.send(met * 2 > runs)
    except StopIteration as over:
        return over.value  # type: ignore[no-any-return]
