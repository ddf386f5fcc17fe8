"""The highest load that still meets the SLOs."""

from __future__ import annotations

from collections.abc import Generator

__all__ = ["highest"]


def highest(
    lowest: float, limit: float, *, whole: bool, precision: float = 0.1
) -> Generator[float, bool, float | None]:
    """Yields the loads to try and is sent whether each met the SLOs; returns the highest that did,
    None when not even ``lowest`` did. Doubles up to the first that fails or to ``limit``, then
    halves the interval until it is within ``precision`` (a share of its lower end), or, with
    ``whole``, until its ends are neighbours."""
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
