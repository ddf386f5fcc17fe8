"""Traffic against a fleet, simulated: continuous batching, the gateway's routing, autoscaling.

``simulate(traffic, fleet, seed=0)`` returns an :class:`~gemma4_plan.simulate.outcome.Outcome`.
"""

from gemma4_plan.simulate.fleet import Autoscaling, Failures, Fleet, Gateway, Replica
from gemma4_plan.simulate.outcome import Interval, Outcome, Percentiles
from gemma4_plan.simulate.run import simulate
from gemma4_plan.simulate.steps import StepTimes, StreamPace
from gemma4_plan.simulate.traffic import DAY_S, Slos, Traffic, day_rates

__all__ = [
    "DAY_S", "Autoscaling", "Failures", "Fleet", "Gateway", "Interval", "Outcome", "Percentiles",
    "Replica", "Slos", "StepTimes", "StreamPace", "Traffic", "day_rates", "simulate",
]  # fmt: skip
