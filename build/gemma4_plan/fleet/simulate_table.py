"""What came of a simulation, for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from rich.console import Console
from rich.table import Table

from gemma4_plan.document.simulate import Course, Simulation
from gemma4_plan.simulate.fleet import Fleet
from gemma4_plan.simulate.outcome import Interval, Outcome
from gemma4_plan.simulate.traffic import Traffic

__all__ = ["as_json", "show"]

_ROWS = 12
"""Parts of the time that the table shows."""
_FULL = {
    "slots": "the slots",
    "kv": "the KV cache",
    "queue": "the queues of the engines",
    "gateway": "the gateways' limit of requests at once",
    "ttft": "the TTFT's SLO",
    "itl": "the ITL's SLO",
}


def show(found: Mapping[str, Outcome], traffic: Traffic, fleet: Fleet, console: Console) -> None:
    """Print the outcomes, one for each end of the estimate."""
    console.print(_latencies(found))
    first = next(iter(found.values()))
    if len(first.timeline) > 1:
        console.print(_timeline(first))
    for line in _lines(first, traffic, fleet):
        console.print(line, highlight=False, soft_wrap=True)


def _latencies(found: Mapping[str, Outcome]) -> Table:
    several = len(found) > 1
    table = Table()
    for column in ("estimate", "", "p50", "p90", "p95", "p99", "mean")[not several :]:
        table.add_column(column, justify="left" if column in ("estimate", "") else "right")
    for end, outcome in found.items():
        for label, times in (
            ("TTFT, ms", outcome.ttft), ("ITL, ms", outcome.itl), ("end to end, s", outcome.e2e),
        ):  # fmt: skip
            unit = 1.0 if label.endswith(" s") else 1e3
            values = (times.p50, times.p90, times.p95, times.p99, times.mean)
            cells = [end if label.startswith("TTFT") else ""] if several else []
            table.add_row(*cells, label, *(_digits(value * unit) for value in values))
    return table


def _timeline(outcome: Outcome) -> Table:
    table = Table()
    for column in ("from", "requests/s", "replicas", "slots", "KV cache", "waiting", "TTFT p95, ms",
                   "ITL p95, ms", "refused"):  # fmt: skip
        table.add_column(column, justify="right")
    parts = outcome.timeline
    size = math.ceil(len(parts) / _ROWS)
    for low in range(0, len(parts), size):
        row = parts[low : low + size]
        worst = max(row, key=lambda part: 0.0 if math.isnan(part.ttft.p95) else part.ttft.p95)
        itl = max((part.itl.p95 for part in row if part.itl.count), default=math.nan)
        seconds = sum(part.length_s for part in row)
        table.add_row(
            _clock(row[0].start_s),
            _digits(sum(part.arrived for part in row) / seconds),
            _digits(_mean(row, "replicas")),
            f"{_mean(row, 'slots'):.0%}",
            f"{_mean(row, 'kv'):.0%}",
            _digits(_mean(row, "waiting")),
            _digits(worst.ttft.p95 * 1e3),
            _digits(itl * 1e3),
            _digits(sum(part.refused + part.failed for part in row)),
        )
    return table


def _mean(parts: tuple[Interval, ...], name: str) -> float:
    return sum(float(getattr(part, name)) for part in parts) / len(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}" + (f":{rest:02}" if rest else "")


def _digits(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def _lines(outcome: Outcome, traffic: Traffic, fleet: Fleet) -> list[str]:
    refused = ", ".join(f"{name} {_digits(count)}" for name, count in outcome.refused.items())
    lost = f"; refused: {refused}" if refused else "; none refused"
    if outcome.failed:
        lost += f"; lost with a replica: {_digits(outcome.failed)}"
    slos = traffic.slos
    kept = ""
    if (slos.ttft_s, slos.itl_s, slos.e2e_s) != (None, None, None):
        kept = (
            f"SLOs: {outcome.attainment:.2%} of the requests keep them, "
            f"{'enough' if outcome.holds else 'too few'} ({slos.attainment:.0%} are wanted); "
            f"goodput {_digits(outcome.goodput)}/s"
        )
    spans = [
        f"{name} {_digits(times.p95_low * 1e3)} to {_digits(times.p95_high * 1e3)} ms"
        for name, times in (("TTFT", outcome.ttft), ("ITL", outcome.itl))
        if times.count
    ]
    full = outcome.pressure[outcome.saturates]
    lines = [
        f"requests: {outcome.arrived:,.0f}, answered {outcome.completed:,.0f}{lost}",
        f"output: {_digits(outcome.output_throughput)} tokens/s; GPU-hours: "
        f"{_digits(outcome.gpu_hours)}",
        kept,
        f"p95 of another such time, 19 of 20 (at least so wide): {', '.join(spans)}"
        if spans
        else "",
        f"fullest at the busiest time: {_FULL[outcome.saturates]}, {full:.0%}",
    ]
    if outcome.suspended:
        lines.append(f"answers that waited for room in the KV cache: {outcome.suspended:,.0f}")
    sampled = ""
    if outcome.simulated_replicas < fleet.most:
        sampled = f" on {outcome.simulated_replicas} of {fleet.most} replicas, which stand for all"
    rate = outcome.wall_s / max(outcome.simulated_requests, 1) * 1e6
    lines.append(
        f"simulated: {outcome.simulated_requests:,} requests{sampled}, in {outcome.wall_s:.1f} s "
        f"({rate:.0f} s for 10⁶ requests)"
    )
    return [line for line in lines if line]


def as_json(found: Mapping[str, Outcome]) -> Simulation:
    """Return everything, for each end of the estimate. What is nan is printed as null."""
    return {"middle": _course(found.get("middle")), "slow": _course(found.get("slow"))}


def _course(outcome: Outcome | None) -> Course | None:
    return None if outcome is None else cast("Course", asdict(outcome))
