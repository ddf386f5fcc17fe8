"""What a run showed, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gemma4_load.report.numbers import quantity, show

__all__ = ["Verdict", "verdict"]

_SHARE = 0.95
"""Share of the requests that a level without a search has to answer within the SLOs."""
_MANY = 0.5
"""Share of failed requests above which nothing else is worth the sentence."""

Kind = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``kind`` colors the sentence: the figures hold and nothing failed, something is to be known,
    or they do not hold."""

    kind: Kind
    text: str


def _load(level: dict[str, Any]) -> str:
    users = level["level"]["concurrency"]
    if users is not None:
        return "one user" if users == 1 else f"{users} users at once"
    return "the trace" if level["level"]["rate"] is None else level["label"]


def _figures(level: dict[str, Any]) -> str:
    """Return throughput, and the medians that there are."""
    parts = []
    through = level["run"]["output_throughput"]
    if through is not None:
        parts.append(f"{quantity(through, 'tokens/s')} in all")
    for name, what in (("ttft", "the first token after"), ("itl", "each further one after")):
        if found := level["requests"][name]:
            parts.append(f"{what} {quantity(found['p50'], 's')} (median)")
    return ", ".join(parts)


def _failures(levels: list[dict[str, Any]]) -> str:
    failed = sum(level["counts"]["failed"] for level in levels)
    measured = sum(level["counts"]["measured"] for level in levels)
    if not failed:
        return "no request failed" if measured else "no request was measured"
    return f"{failed:,} of {measured:,} requests failed ({show(failed / measured, 'share')})"


def _best(report: dict[str, Any]) -> tuple[bool, str]:
    """Return whether the SLOs were met, where there are some, and the sentence about the load that
    matters most: the highest that met them, else that of the highest throughput."""
    levels = report["levels"]
    failures = _failures(levels)
    search = report.get("search")
    if search and search["highest"] is not None:
        unit = "users at once" if search["over"] == "concurrency" else "requests/s"
        many = f"{search['highest']:,.4g} {unit}"
        share = show(search["attainment"], "share").replace(".0%", "%")
        return True, f"Up to {many}, {share} of the requests met the SLOs; {failures}."
    if search:
        return False, f"Not even the lowest load met the SLOs; {failures}."
    if report.get("slos"):
        met = [level for level in levels if (level["run"]["attainment"] or 0.0) >= _SHARE]
        if not met:
            return False, f"No load met the SLOs for {_SHARE:.0%} of its requests; {failures}."
        best = max(met, key=lambda level: level["load"])
        share = show(best["run"]["attainment"], "share").replace(".0%", "%")
        return True, f"With {_load(best)}, {share} of the requests met the SLOs; {failures}."
    best = max(levels, key=lambda level: level["run"]["output_throughput"] or 0.0)
    figures = _figures(best)
    if not figures:
        return True, f"{failures[0].upper()}{failures[1:]}."
    return True, f"With {_load(best)}: {figures}; {failures}."


def verdict(report: dict[str, Any]) -> Verdict:
    """Return the sentence at the top of the page."""
    levels = report["levels"]
    if not levels:
        return Verdict("bad", "Nothing was measured.")
    stopped = next((level for level in levels if level["stopped"]), None)
    if stopped:
        done = sum(not level["stopped"] for level in levels)
        after = f"after {done} whole level{'s' * (done != 1)}" if done else "in its first level"
        why = stopped["stopped"].rstrip(".")
        return Verdict("bad", f"The run was stopped {after}: {why}; {_failures(levels)}.")
    invalid = [level for level in levels if not level["valid"]]
    if invalid:
        of = "This run does" if len(levels) == 1 else f"{len(invalid)} of {len(levels)} levels do"
        why = invalid[0]["invalid_reasons"][0].rstrip(".")
        return Verdict("bad", f"{of} not show how fast the server is: {why}.")
    failed = sum(level["counts"]["failed"] for level in levels)
    if failed > _MANY * sum(level["counts"]["measured"] for level in levels):
        return Verdict("bad", f"{_failures(levels)}: the times are those of the others only.")
    met, text = _best(report)
    return Verdict("good" if met and not failed else "warn", text)
