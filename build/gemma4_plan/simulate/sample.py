"""A part of a fleet that stands for all of it."""

from __future__ import annotations

import math
from dataclasses import replace

from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["LEAST_REPLICAS", "expected", "sampled"]

LEAST_REPLICAS = 16
"""Replicas that are simulated at least, where there are as many: enough for what they do to each
other by the gateway's balance (docs/planning.md has the measured difference)."""


_MOST_PLACES, _ENGINE = 10_000_000, 100
"""What the gateways keep of replicas, a place for each of both, at most; and what an engine takes
against one of these."""


def sampled(traffic: Traffic, fleet: Fleet, most_requests: float) -> tuple[Traffic, Fleet, float]:
    """Return the traffic and fleet to simulate, and the share of the real fleet that they are.

    While no replica has more than ``imbalance`` requests more than the least busy one, the gateway
    sends each request by a hash of its head: the Poisson arrivals of a replica are independent of
    the others', and so is all that it does. Then any replicas are a fair sample. Where the balance
    acts, replicas meet only through the least busy one's count, which many replicas make a figure
    that hardly varies (a mean field), so that a smaller fleet at the same load per replica comes
    close. What would be different is how much the whole load varies: a sixtieth of a Poisson
    process varies eight times as much against its mean. So the arrivals of a sample are drawn as
    regular as those of the whole fleet (a gamma process); what a single replica gets of them is
    still nearly a Poisson process.

    A replica's limits stay; what is counted over the fleet (users, gateways, shared prefixes, keys,
    the autoscaling's bounds and pace) shrinks with it: as many gateways would each send as much to
    the replica that a prompt prefers, and so a larger share of the fewer requests. In the sample
    one lost replica is a larger share of the fleet than in truth, which is on the safe side."""
    wanted = max(LEAST_REPLICAS, fleet.most * most_requests / expected(traffic))
    each = (fleet.gateway.gateways + _ENGINE) / fleet.most  # both shrink alike
    wanted = min(wanted, max(LEAST_REPLICAS, math.sqrt(_MOST_PLACES / each)))
    if wanted >= fleet.most:
        return traffic, fleet, 1.0
    share = round(wanted) / fleet.most
    return _traffic(traffic, share), _fleet(fleet, share), share


def expected(traffic: Traffic) -> float:
    """Return about how many requests there will be; of a closed loop, as if each took a second."""
    seconds = traffic.length_s
    if traffic.users is not None:
        return traffic.users * seconds
    if traffic.rates:
        return traffic.mean_rate * seconds
    first, last = (traffic.trace[at]["timestamp"] for at in (0, -1))
    span = max((last - first) / 1e3 / traffic.speed, 1e-3)
    return len(traffic.trace) * (max(1.0, seconds / span) if traffic.repeat else 1.0)


def _traffic(traffic: Traffic, share: float) -> Traffic:
    return replace(
        traffic,
        users=None if traffic.users is None else max(1, round(traffic.users * share)),
        shared_prefixes=_some(traffic.shared_prefixes, share),
    )


def _fleet(fleet: Fleet, share: float) -> Fleet:
    scaling = fleet.autoscaling
    gateway = replace(
        fleet.gateway, keys=max(1, round(fleet.gateway.keys * share)),
        gateways=max(1, round(fleet.gateway.gateways * share)),
    )  # fmt: skip
    # What is left to the limits of each, where not as many gateways as the share can be left out.
    each = share * fleet.gateway.gateways / gateway.gateways
    gateway = replace(gateway, max_running=max(1, round(gateway.max_running * each)))
    lost = share * fleet.gateway.keys / gateway.keys
    for name in ("key_running", "requests_per_minute", "tokens_per_minute"):
        gateway = replace(gateway, **{name: _some(getattr(gateway, name), lost)})
    least = 1 if scaling is None else max(1, round(scaling.least * share))
    most = round(fleet.most * share)
    return replace(
        fleet,
        replicas=min(max(round(fleet.replicas * share), least), most),
        gateway=gateway,
        autoscaling=None if scaling is None else replace(scaling, least=least, most=most),
    )


def _some(count: int, share: float) -> int:
    """Return the share of a count, of which some are left where there are any."""
    return max(1, round(count * share)) if count else 0
