"""Sentences and figures of an answer, for the terminal and the report."""

from __future__ import annotations

from gemma4_plan.fleet.answer import Answer
from gemma4_plan.fleet.search import Candidate
from gemma4_plan.simulate import Outcome, Percentiles
from gemma4_plan.span import Span

__all__ = [
    "about", "asked", "copies_text", "dollars", "headline", "limits", "name_of", "option_cells",
    "p95_range", "saturates", "times",
]  # fmt: skip

_FULL = {
    "slots": "the slots (--max-streams, or memory)",
    "kv": "the KV cache",
    "queue": "the engines' queues",
    "gateway": "the gateways' requests at once",
    "ttft": "the time to the first token",
    "itl": "the time between two tokens",
}


def name_of(candidate: Candidate) -> str:
    """Return ``H200 x 2 nvfp4, experimental``."""
    option = candidate.option
    gpus = f" x {option.split.tp}" if option.split.tp > 1 else ""
    state = "" if option.status == "yes" else f", {option.status}"
    return f"{option.card.product}{gpus} {option.split.precision}{state}"


def option_cells(candidate: Candidate) -> list[str]:
    """Return name, copies, GPUs and dollars an hour of an option, for a table."""
    price = candidate.usd_per_hour
    return [
        name_of(candidate),
        f"{candidate.needed:,} + {candidate.spare}",
        f"{candidate.gpus:,}",
        "-" if price is None else f"{price[0]:,.2f} to {price[1]:,.2f}",
    ]


def asked(found: Answer) -> str:
    """Return the question in words."""
    question = found.question
    if question.trace:
        load = f"a trace of {len(question.trace):,} requests"
    elif question.users is not None:
        load = (
            f"{question.users:,} users at the busiest time, a question every "
            f"{question.users_every:g} s each ({question.peak_rate:,.3g} requests/s)"
        )
    else:
        load = f"{question.mean_rate:,.3g} requests/s"
    if question.peak != 1:
        load += f", {question.peak:g} times the mean of the day"
        if question.users is None:
            load = (
                f"{question.mean_rate:,.3g} requests/s on average, {question.peak_rate:,.3g} in "
                "the busiest minute"
            )
    limit = [
        f"p95 {name} {value:g} ms"
        for name, value in (("TTFT", question.ttft_ms), ("ITL", question.itl_ms))
        if value is not None
    ]
    return f"{load}; {' and '.join(limit)}"


def headline(found: Answer) -> str:
    """Return the answer in one sentence."""
    best = found.best
    spare = f", {best.spare} of them spare" if best.spare else ""
    cost = ""
    if found.usd_per_day is not None and found.usd_per_million is not None:
        cost = (
            f": ${dollars(found.usd_per_day)} a day, "
            f"${dollars(found.usd_per_million)} for 10⁶ output tokens"
        )
    copies = "copy" if best.copies == 1 else "copies"
    gpus = "GPU" if best.gpus == 1 else "GPUs"
    return (
        f"{best.copies:,} {copies} of the model on {name_of(best)}, {best.gpus:,} {gpus} in "
        f"all{spare}{cost}"
    )


def copies_text(found: Answer) -> str:
    """Return how many copies the ends of the estimate need."""
    ends = found.found
    fast = "no number" if ends.fast is None else f"{ends.fast:,}"
    middle = "no number" if ends.middle is None else f"{ends.middle:,}"
    if ends.slow is None:
        slow = "no number of copies holds at the slow end"
    else:
        slow = f"{ends.slow:,} at the slow end"
    return (
        f"{fast} at the fast end of the estimated speed, {middle} in the middle, {slow}; "
        f"planned for the {ends.end}"
    )


def about(found: Answer) -> str:
    """Return what was asked, and how sure the answer is."""
    return f"for {asked(found)}.\nCopies needed, without spare ones: {copies_text(found)}."


def saturates(found: Answer) -> str:
    """Return what is fullest at the busiest time."""
    outcome = found.best.outcome
    order = sorted(outcome.pressure.items(), key=lambda item: -item[1])
    first = _FULL.get(outcome.saturates, outcome.saturates)
    rest = ", ".join(f"{name} {share:.0%}" for name, share in order)
    return f"What saturates first: {first} ({rest})."


def limits(found: Answer) -> list[str]:
    """Return what a reader must know before money is spent."""
    said = []
    if found.found.slow is None or found.found.slow > found.best.needed:
        said.append(
            "The speeds are estimates that no TensorRT-LLM measurement of this model stands "
            "behind: rent one, run gemma4 load, and size again; --cautious plans for the slow end."
        )
    if (scaled := found.scaled) is not None:
        cost = f"${dollars(scaled.usd_per_day)}" if scaled.usd_per_day else "less"
        said.append(
            f"With autoscaling from {scaled.least:,} to {scaled.most:,} copies a day costs {cost}. "
            "Whether the SLOs hold while copies start, `gemma4 plan simulate` says."
        )
    return said


def times(found: Percentiles) -> str:
    """Return p50 and p95 in milliseconds."""
    if not found.count:
        return "-"
    return f"{_ms(found.p50)}, {_ms(found.p95)}"


def p95_range(outcome: Outcome) -> str:
    """Return between which values the p95 of another such time lies, 19 times of 20."""
    return ", ".join(
        f"{name} {_ms(times.p95_low)} to {_ms(times.p95_high)} ms"
        for name, times in (("TTFT", outcome.ttft), ("ITL", outcome.itl))
        if times.count
    )


def _ms(seconds: float) -> str:
    value = 1e3 * seconds
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def dollars(span: Span | None) -> str:
    """Return two ends of an amount."""
    if span is None:
        return ""
    low, high = (f"{end:,.0f}" if end >= 100 else f"{end:,.2f}" for end in (span.low, span.high))
    return low if low == high else f"{low} to {high}"
