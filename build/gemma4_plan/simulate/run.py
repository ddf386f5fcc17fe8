"""The simulation."""

from __future__ import annotations

from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.outcome import Outcome
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["simulate"]


def simulate(
    traffic: Traffic, fleet: Fleet, seed: int = 0, *, most_requests: float = 500_000
) -> Outcome:
    """Simulate ``traffic`` against ``fleet``. The same ``seed`` draws the same arrivals, lengths and
    choices for every fleet, so two fleets can be compared (common random numbers). A fleet that
    would get more than ``most_requests`` requests is sampled: fewer replicas get their share of the
    traffic; ``inf`` simulates every replica. Raises
    :class:`~gemma4_plan.errors.BadQuestionError` for requests that no replica can hold."""
    raise NotImplementedError
