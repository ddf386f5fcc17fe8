"""From the books to the answer."""

from __future__ import annotations

import math

from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.ledger import Ledger
from gemma4_plan.simulate.outcome import Interval, Outcome, Percentiles
from gemma4_plan.simulate.simulation import Simulation
from gemma4_plan.simulate.traffic import Slos, Traffic

__all__ = ["summarize"]


def summarize(
    simulation: Simulation, traffic: Traffic, fleet: Fleet, some: Fleet, share: float, wall: float
) -> Outcome:
    """Return what came of it, for the whole fleet: ``some`` of it was simulated."""
    books, scale = simulation.ledger, 1 / share
    books.count()
    window = books.length - books.warmup
    timeline = tuple(_interval(books, some, scale, at) for at in range(books.intervals))
    attainment = books.kept / books.arrived if books.arrived else math.nan
    hours = sum(books.areas["paid"]) * scale / 3600
    pressure = _pressure(timeline, fleet, traffic.slos)
    return Outcome(
        seconds=window,
        arrived=books.arrived * scale,
        completed=books.completed * scale,
        refused={reason: count * scale for reason, count in sorted(books.refusals.items())},
        failed=books.failed * scale,
        prompt_tokens=books.prompt_tokens * scale,
        cached_tokens=books.cached_tokens * scale,
        output_tokens=books.output_tokens * scale,
        generated_tokens=books.generated * scale,
        ttft=books.ttft.all(),
        itl=books.itl.all(),
        e2e=books.e2e.all(),
        queue=books.queue.all(),
        request_throughput=books.completed * scale / window,
        output_throughput=books.in_window * scale / window,
        goodput=books.kept * scale / window,
        attainment=attainment,
        holds=attainment >= traffic.slos.attainment,
        gpu_hours=hours * fleet.replica.gpus,
        replica_hours=hours,
        suspended=simulation.suspended * scale,
        timeline=timeline,
        saturates=max(pressure, key=lambda name: pressure[name]),
        pressure=pressure,
        simulated_replicas=some.most,
        simulated_requests=simulation.requests,
        events=simulation.agenda.steps + simulation.requests,
        wall_s=wall,
    )


def _interval(books: Ledger, some: Fleet, scale: float, at: int) -> Interval:
    start = at * books.width
    width = books.width
    replica = some.replica
    means = {name: area[at] / width for name, area in books.areas.items()}
    ready = max(means["ready"], 1e-9)
    counts = {name: count[at] * scale for name, count in books.counts.items()}
    room = replica.kv_tokens
    stepping = max(means["busy"] / ready, 0.0)
    return Interval(
        start_s=start,
        length_s=width,
        arrived=counts["arrived"],
        ended=counts["ended"],
        refused=counts["refused"],
        failed=counts["failed"],
        kept=counts["kept"],
        output_tokens=counts["tokens"],
        replicas=means["paid"] * scale,
        ready=means["ready"] * scale,
        running=means["running"] * scale,
        waiting=means["waiting"] * scale,
        slots=means["running"] / (ready * replica.slots),
        kv=0.0 if room is None else means["held"] / (ready * room),
        busy=min(stepping, 1.0),
        queue=means["waiting"] / (ready * max(replica.max_queued, 1)),
        ttft=books.ttft.of(at),
        itl=books.itl.of(at),
    )


def _pressure(timeline: tuple[Interval, ...], fleet: Fleet, slos: Slos) -> dict[str, float]:
    """Return how full each limit is in the interval with most requests on a replica, and how much
    of an SLO its p95 takes."""
    busiest = max(timeline, key=lambda part: (part.running + part.waiting) / max(part.ready, 1e-9))
    gateway = fleet.gateway
    most = gateway.gateways * gateway.max_running
    found = {
        "slots": busiest.slots,
        "kv": busiest.kv,
        "queue": busiest.queue,
        "gateway": (busiest.running + busiest.waiting) / most,
    }
    for name, limit, times in (
        ("ttft", slos.ttft_s, busiest.ttft), ("itl", slos.itl_s, busiest.itl),
    ):  # fmt: skip
        if limit is not None and times.count:
            found[name] = _share(times, limit)
    return found


def _share(times: Percentiles, limit: float) -> float:
    return times.p95 / limit
