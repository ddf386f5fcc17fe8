"""The answer for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from gemma4_plan.deploy.shown import show_deploy
from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.fleet.words import (
    about,
    dollars,
    headline,
    limits,
    option_cells,
    p95_range,
    saturates,
    times,
)
from gemma4_plan.host.shown import host_line
from gemma4_plan.second.opinion import Opinion
from gemma4_plan.second.shown import option_lines
from gemma4_plan.simulate import Outcome

__all__ = ["show"]

_FEW = 5
"""Reasons that a terminal shows beside the answer."""


def show(found: Answer, console: Console, opinion: Opinion | None = None) -> None:
    """Print the fleet, how it does, what else there is, what another program predicts, and what
    deploys it."""

    def line(text: str, style: str = "") -> None:
        console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)

    line(headline(found), "bold")
    line(about(found))
    console.print()
    console.print(_times(found))
    line(f"p95 of another such time, 19 of 20 (at least so wide): {p95_range(found.best.outcome)}")
    line(saturates(found))
    for text in limits(found):
        line(text)
    console.print()
    console.print(_options(found))
    if found.found.dearer:
        line(f"{found.found.dearer} more options cost more than the first even at their least")
    for text in _left_out(found):
        line(text, "dim")
    console.print()
    for text in [] if opinion is None else option_lines(opinion, found.best.option):
        line(text)
    line(host_line(found.host))
    if found.scaled is not None:
        line("Check the autoscaling before you use it (minutes):", "bold")
        line(found.scaled.check)
    console.print()
    show_deploy(found.chosen, console)


def _left_out(found: Answer) -> Iterator[str]:
    """Yield why options were not considered, or, when they are many, where that is said."""
    reasons: dict[str, list[str]] = {}
    for left in found.found.left_out:
        reasons.setdefault(left.reason, []).append(left.what)
    if len(reasons) > _FEW:
        count = len(found.found.left_out)
        yield f"{count} options were not considered; --json, --report and --gpu NAME say why"
        return
    for reason, names in reasons.items():
        yield f"not considered: {', '.join(names)}: {reason}"


def _times(found: Answer) -> Table:
    table = Table(title_justify="left")
    table.add_column("simulated")
    for column in ("TTFT p50, p95, ms", "ITL p50, p95, ms", "tokens/s", "refused", "$ a day"):
        table.add_column(column, justify="right")
    best = found.best
    rows: list[tuple[str, Outcome, str]] = [
        (f"busiest time, {best.needed:,} copies", best.outcome, ""),
        (
            f"{'trace' if found.question.trace else 'day'}, {best.copies:,} copies",
            found.day,
            dollars(found.usd_per_day),
        ),
    ]
    for name, outcome, cost in rows:
        gone = sum(outcome.refused.values()) + outcome.failed
        share = gone / outcome.arrived if outcome.arrived else 0.0
        table.add_row(
            name, times(outcome.ttft), times(outcome.itl), f"{outcome.output_throughput:,.0f}",
            f"{share:.2%}", cost,
        )  # fmt: skip
    return table


def _options(found: Answer) -> Table:
    table = Table(title_justify="left")
    table.add_column("option")
    for column in ("copies + spare", "GPUs", "$ an hour", "TTFT p95, ms", "ITL p95, ms"):
        table.add_column(column, justify="right")
    for candidate in (found.best, *found.found.others[:9]):
        table.add_row(*_cells(candidate))
    return table


def _cells(candidate: Candidate) -> list[str]:
    outcome = candidate.outcome
    return [
        *option_cells(candidate),
        f"{1e3 * outcome.ttft.p95:,.0f}",
        f"{1e3 * outcome.itl.p95:,.1f}",
    ]
