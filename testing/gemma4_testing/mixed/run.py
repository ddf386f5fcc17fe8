"""Send random requests by every way at once, and compare what comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from gemma4_testing.mixed.made import Case, made
from gemma4_testing.mixed.paths import PATHS, Outcome, Ways

__all__ = ["Report", "send"]

AT_ONCE = 24
"""Streams of one way; our client uses a feed from nine on."""
HANG_S = 60
_BY_TIME = ("timeout_ms",)


@dataclass
class Report:
    """``counts``: (way, answer or status) -> requests. ``compared``: answers that had to be equal
    to another way's."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    compared: int = 0
    seconds: float = 0.0

    @property
    def sent(self) -> int:
        return self.counts.total()

    def table(self) -> str:
        lines = [f"{self.sent} requests in {self.seconds:.0f} s, {self.compared} compared"]
        for way in PATHS:
            found = {end: n for (name, end), n in sorted(self.counts.items()) if name == way}
            lines.append(f"  {way}: " + ", ".join(f"{n} {end}" for end, n in found.items()))
        return "\n".join(lines)


async def send(grpc_port: int, gateway: str, model: str, *, seed: int, count: int) -> Report:
    """At least ``count`` requests. Raises :class:`AssertionError` with the case."""
    ways = Ways(grpc_port, gateway, model)
    report, number = Report(), 0
    began = time.monotonic()
    try:
        while report.sent < count:
            cases = {n: made(seed, n) for n in range(number, number + AT_ONCE)}
            number += AT_ONCE
            ends: dict[int, dict[str, Outcome]] = {n: {} for n in cases}
            for way in PATHS:
                sent = [n for n, case in cases.items() if not _skipped(way, case)]
                found = await asyncio.gather(*(_one(ways, way, cases[n], n) for n in sent))
                for n, outcome in zip(sent, found, strict=True):
                    ends[n][way] = outcome
                    report.counts[way, outcome.refused or "answer"] += 1
            for n, case in cases.items():
                report.compared += _compare(n, case, ends[n])
    finally:
        await ways.close()
    report.seconds = time.monotonic() - began
    return report


def _skipped(way: str, case: Case) -> bool:
    return way.startswith("responses") and case.response is None


async def _one(ways: Ways, way: str, case: Case, number: int) -> Outcome:
    try:
        return await asyncio.wait_for(PATHS[way](ways, case), HANG_S)
    except TimeoutError:
        raise AssertionError(f"{way}: case {number} hung: {case}") from None
    except Exception as error:
        raise AssertionError(f"{way}: case {number}: {error!r}: {case}") from error


def _compare(number: int, case: Case, ends: dict[str, Outcome]) -> int:
    """How many were compared."""
    by_time = case.inputs.get("timeout_ms") == 1
    first = ends["direct, whole"]
    compared = 0
    for way, outcome in ends.items():
        where = f"case {number}, {way}: {outcome} but direct, whole: {first}: {case}"
        allowed = {"", "INVALID_ARGUMENT"} | ({"DEADLINE_EXCEEDED"} if by_time else set())
        assert outcome.refused in allowed, where
        if by_time or way.startswith("responses"):
            continue
        if not way.startswith("gateway"):
            assert bool(outcome.refused) == bool(first.refused), where
            assert outcome.refused or not case.greedy or outcome.ids == first.ids, where
        elif first.refused or outcome.refused or not case.plain:
            assert outcome.refused or not first.refused or not case.plain, where
            continue
        if case.greedy and not first.refused:
            if case.completion is not None and way.startswith("gateway"):
                outcome.reasoning = first.reasoning  # /v1/completions has no place for it
            assert outcome.shown() == first.shown(), where
            compared += 1
    responses = [ends[way] for way in ends if way.startswith("responses")]
    if case.greedy and not by_time and len(responses) == 2:
        whole, streamed = responses
        assert whole.shown() == streamed.shown(), f"case {number}: {whole} {streamed} {case}"
        compared += 1
    return compared
