"""The report as HTML: no script, no network, the style and charts of a load test's report."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
from gemma4_load.report.chart import COLORS, svg

from gemma4_plan.deploy.compose import env_lines
from gemma4_plan.deploy.helm import values_text
from gemma4_plan.deploy.shown import INSTALL
from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.fleet.sweep import Curve
from gemma4_plan.fleet.words import (
    asked,
    copies_text,
    dollars,
    headline,
    limits,
    option_cells,
    p95_range,
    saturates,
    times,
)
from gemma4_plan.gpu_memory import plan_gpu
from gemma4_plan.host.shown import host_line
from gemma4_plan.options import Option
from gemma4_plan.report.figures import figures
from gemma4_plan.report.memory_bar import parts_of
from gemma4_plan.second.opinion import Opinion
from gemma4_plan.second.shown import option_lines

__all__ = ["page"]


def page(found: Answer, curves: Sequence[Curve], opinion: Opinion | None = None) -> str:
    """Return the HTML."""
    chosen, option = found.chosen, found.best.option
    plan = plan_gpu(
        option.gpu, option.card, option.split, tokens=(found.question.fit().prompt
                                                       + found.question.fit().output,),
        slots=option.streams,
    )  # fmt: skip
    template = _environment().get_template("plan/page.html.jinja")
    return template.render(
        found=found,
        headline=headline(found),
        sure="warn" if limits(found) else "good",
        facts=[*_facts(found), *_second(opinion, option)],
        limits=[text.replace("`", "") for text in limits(found)],
        charts=[(chart, svg(chart)) for chart in figures(found, curves)],
        colors=COLORS,
        options=[_cells(candidate) for candidate in (found.best, *found.found.others)],
        left_out=found.found.left_out,
        memory=parts_of(plan),
        memory_title=f"{option.card.product}, {option.split.precision}",
        deploy=[
            ("Build the engine", chosen.build()),
            ("Compose: .env of one machine", "\n".join(env_lines(chosen))),
            ("Kubernetes: plan.yaml", values_text(chosen).rstrip() + "\n\n" + INSTALL),
            ("Check the autoscaling before you use it", found.scaled.check if found.scaled else ""),
        ],
    )


def _environment() -> jinja2.Environment:
    loader = jinja2.PrefixLoader({
        "plan": jinja2.PackageLoader("gemma4_plan.report", "."),
        "load": jinja2.PackageLoader("gemma4_load.report", "."),
    })  # fmt: skip
    return jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip


def _facts(found: Answer) -> list[tuple[str, str]]:
    outcome, question = found.best.outcome, found.question
    rows = [
        ("asked for", asked(found)),
        (
            "requests",
            f"{question.prompt_mean:,.0f} prompt and {question.output_mean:,.0f} output tokens on "
            f"average, built for {question.longest:,} together",
        ),
        ("copies needed", copies_text(found)),
        (
            "busiest time",
            f"TTFT p50, p95 {times(outcome.ttft)} ms; ITL {times(outcome.itl)} ms; "
            f"{outcome.output_throughput:,.0f} output tokens/s",
        ),
        ("p95 of another such time", f"{p95_range(outcome)}, 19 times of 20 (at least so wide)"),
        ("saturates first", saturates(found).removeprefix("What saturates first: ")),
    ]
    if found.usd_per_day is not None:
        rows.append(("GPUs cost", f"${dollars(found.usd_per_day)} a day"))
    rows.append(("hosts", host_line(found.host).removeprefix("hosts, ")))
    return rows


def _second(opinion: Opinion | None, option: Option) -> list[tuple[str, str]]:
    if opinion is None:
        return []
    lines = [
        line.strip().removeprefix("second opinion on ") for line in option_lines(opinion, option)
    ]
    return [("second opinion", "\n".join(lines))]


def _cells(candidate: Candidate) -> list[str]:
    return [
        *option_cells(candidate), times(candidate.outcome.ttft), times(candidate.outcome.itl),
    ]  # fmt: skip
