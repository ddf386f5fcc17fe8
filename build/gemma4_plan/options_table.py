"""The ranking for a terminal and as JSON."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from gemma4_plan.commands import build_command, known_gpu
from gemma4_plan.deploy.chosen import Chosen
from gemma4_plan.deploy.shown import deploy_json, show_deploy
from gemma4_plan.document.fit import Fit
from gemma4_plan.host.costs import HostCosts, host_costs
from gemma4_plan.host.shown import host_json, host_line
from gemma4_plan.options import FitQuestion, Option, Ranking
from gemma4_plan.second.opinion import Opinion
from gemma4_plan.second.shown import opinion_json, option_lines
from gemma4_plan.span import Span

__all__ = ["as_json", "show"]


def show(
    ranking: Ranking,
    question: FitQuestion,
    console: Console,
    *,
    top: int,
    opinion: Opinion | None = None,
) -> None:
    """Print the first ``top`` options, a second opinion of the first, and what deploys it."""
    table = Table(title_justify="left")
    table.add_column("")
    table.add_column("precision", no_wrap=True)
    table.add_column("runs", no_wrap=True)
    for column in ("streams", "ITL, ms", "TTFT, ms", "tokens/s a GPU", "$ per 10⁶ tokens"):
        table.add_column(column, justify="right")
    if question.rate is not None:
        table.add_column(f"GPUs for {question.rate:g}/s", justify="right")
    for option in ranking.options[:top]:
        table.add_row(*_cells(option))
    console.print(table)
    best = ranking.options[0]
    console.print(f"streams: held down by {_BOUND[best.bound]} in the first line", highlight=False)
    if len(ranking.options) > top:
        console.print(f"{len(ranking.options) - top} more options: --top {len(ranking.options)}")
    for left in ranking.left_out:
        console.print(f"not ranked: {left.what}: {left.reason}", style="dim", highlight=False)
    for line in [] if opinion is None else option_lines(opinion, best):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(host_line(_host(best, question)), soft_wrap=True, highlight=False)
    console.print()
    show_deploy(_chosen(best, question), console)


_BOUND = {"memory": "memory", "batch": "--max-streams", "itl": "--itl-ms", "ttft": "--ttft-ms"}


def _cells(option: Option) -> list[str]:
    split, share = option.split, 1 / option.split.tp
    shown = option.card.product + (f" x {split.tp}" if split.tp > 1 else "")
    cost = option.usd_per_million
    cells = [
        shown,
        split.precision + (f", ep {split.ep}" if split.ep > 1 else ""),
        option.status,
        str(option.streams),
        _digits(option.itl_ms),
        _digits(option.ttft_ms),
        _digits(Span(option.tokens_per_s.low * share, option.tokens_per_s.high * share)),
        "" if cost is None else f"{cost.low:.2f} to {cost.high:.2f}",
    ]
    if option.copies is not None:
        copies = option.copies
        cells.append(_digits(Span(copies.low * split.tp, copies.high * split.tp), whole=True))
    return cells


def _digits(span: Span, *, whole: bool = False) -> str:
    ends = [f"{end:,.0f}" if whole or end >= 100 else f"{end:.3g}" for end in (span.low, span.high)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _build(option: Option, question: FitQuestion) -> str:
    return build_command(
        known_gpu(option.gpu, option.card), option.split, slots=option.streams,
        tokens=question.prompt + question.output,
    )  # fmt: skip


def _chosen(option: Option, question: FitQuestion) -> Chosen:
    return Chosen(
        gpu=option.gpu, card=option.card, split=option.split, slots=option.streams,
        tokens=question.prompt + question.output, replicas=_replicas(option),
        host=_host(option, question),
    )  # fmt: skip


def _replicas(option: Option) -> int:
    """Return the copies that carry the rate for sure; one where no rate was asked for."""
    return 1 if option.copies is None else int(option.copies.high)


def _host(option: Option, question: FitQuestion) -> HostCosts:
    """Return what the rate takes, or, without one, one copy at its middle speed."""
    rate = question.rate or option.middle / question.output
    seconds = (option.ttft_ms.high + option.itl_ms.high * question.output) / 1e3
    return host_costs(
        requests_per_s=rate, prompt=question.prompt, output=question.output,
        copies=_replicas(option), at_once=rate * seconds,
    )  # fmt: skip


def as_json(ranking: Ranking, question: FitQuestion, opinion: Opinion | None = None) -> Fit:
    """Return everything; spans are [low, high]."""
    return {
        "options": [
            {
                "gpu": option.gpu,
                "precision": option.split.precision,
                "tensor_parallel": option.split.tp,
                "expert_parallel": option.split.ep,
                "status": option.status,
                "reason": option.reason,
                "streams": option.streams,
                "bound": option.bound,
                "itl_ms": option.itl_ms.as_list(),
                "ttft_ms": option.ttft_ms.as_list(),
                "tokens_per_s": option.tokens_per_s.as_list(),
                "usd_per_million_tokens": _maybe(option.usd_per_million),
                "copies": _maybe(option.copies),
                "build": _build(option, question),
                "host": host_json(_host(option, question)),
                "deploy": deploy_json(_chosen(option, question)),
            }
            for option in ranking.options
        ],
        "left_out": [{"what": left.what, "reason": left.reason} for left in ranking.left_out],
        "second_opinion": opinion_json(opinion),
    }


def _maybe(span: Span | None) -> list[float] | None:
    return None if span is None else span.as_list()
