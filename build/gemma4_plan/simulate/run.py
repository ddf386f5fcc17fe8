"""Traffic against a fleet, simulated."""

from __future__ import annotations

import time

from gemma4_plan.errors import BadQuestionError
from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.outcome import Outcome
from gemma4_plan.simulate.sample import expected, sampled
from gemma4_plan.simulate.simulation import Simulation
from gemma4_plan.simulate.summary import summarize
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["simulate"]

_MOST, _MOST_H = 1e8, 1.4
"""Requests that are simulated at most, and the hours that they take on one core."""


def simulate(
    traffic: Traffic, fleet: Fleet, seed: int = 0, *, most_requests: float = 500_000
) -> Outcome:
    """Simulate ``traffic`` against ``fleet``. The same ``seed`` draws the same arrivals, lengths
    and choices for every fleet, so two fleets can be compared (common random numbers). A fleet that
    would get more than ``most_requests`` requests is sampled
    (:func:`~gemma4_plan.simulate.sample.sampled`); ``inf`` simulates every replica. Raises
    :class:`~gemma4_plan.errors.BadQuestionError` for requests that no replica can hold."""
    _check(traffic, fleet)
    began = time.perf_counter()
    part, some, share = sampled(traffic, fleet, most_requests)
    _check_size(expected(traffic) * share, some)
    simulation = Simulation(part, some, seed, share=share)
    simulation.run()
    return summarize(simulation, traffic, fleet, some, share, time.perf_counter() - began)


def _check_size(requests: float, fleet: Fleet) -> None:
    if not requests <= _MOST:
        raise BadQuestionError(
            f"{requests:.3g} requests to simulate on {fleet.most} replicas would take "
            f"{requests / _MOST * _MOST_H:.3g} hours; lower the rate, shorten --seconds, or give "
            "more replicas, of which a part is simulated"
        )


def _check(traffic: Traffic, fleet: Fleet) -> None:
    room = fleet.replica.kv_tokens
    if room is None:
        return
    if traffic.trace:
        needed = min(line["input_length"] + line["output_length"] for line in traffic.trace)
    elif traffic.prompt.kind == traffic.output.kind == "fixed":
        needed = int(traffic.prompt.a + traffic.prefix_tokens + traffic.output.a)
    else:
        return
    if needed > room:
        raise BadQuestionError(
            f"requests of {needed} tokens: the KV cache of a replica holds {room}; give shorter "
            "ones, a replica with more memory, or --precision fp8"
        )
