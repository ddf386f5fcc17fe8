"""Answers of ``gemma4 plan memory`` for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from gemma4_plan.commands import build_for_cpu, build_for_gpu
from gemma4_plan.cpu_memory import CpuMemory
from gemma4_plan.gpu_memory import GpuMemory, Room
from gemma4_plan.memory_question import Refused
from gemma4_plan.span import Span, exactly

__all__ = ["show"]

_GIB = 2**30  # bytes
_BAR = 60
"""Characters of the memory bar."""


def show(answers: Sequence[GpuMemory | CpuMemory | Refused], console: Console) -> None:
    """Print one answer in full, or several as a table."""
    if len(answers) > 1:
        console.print(_table(answers))
        return
    (answer,) = answers
    if isinstance(answer, GpuMemory):
        console.print(_gpu(answer))
        command = build_for_gpu(answer)
    elif isinstance(answer, CpuMemory):
        console.print(_cpu(answer))
        command = build_for_cpu(answer)
    else:
        console.print(answer.reason)
        return
    if command:
        console.print(command, soft_wrap=True, highlight=False)


def _table(answers: Sequence[GpuMemory | CpuMemory | Refused]) -> Table:
    lengths = {room.tokens for a in answers if not isinstance(a, Refused) for room in a.rooms}
    of = f" of {min(lengths):,}" if len(lengths) == 1 else ""
    table = Table(title="Memory of one GPU in GiB, lengths in tokens", title_justify="left")
    for column in ("", "precision", "runs"):
        table.add_column(column, no_wrap=True)
    for column in ("weights", "KV cache", f"requests at once{of}", "longest request"):
        table.add_column(column, justify="right")
    before = ""
    for answer in answers:
        name, *cells = _cells(answer)
        table.add_row("" if name == before else name, answer.precision, *cells)
        before = name
    return table


def _cells(answer: GpuMemory | CpuMemory | Refused) -> tuple[str, ...]:
    """Return the machine, whether it runs, weights, KV cache, requests and the longest."""
    if isinstance(answer, CpuMemory):
        rooms = "" if answer.available is None else _rooms(answer.rooms)
        return "CPU", "yes", _span(exactly(answer.need.weight_bytes)), "", rooms, ""
    if isinstance(answer, Refused):
        return answer.product, "no", "", "", "", ""
    weights, product = _span(exactly(answer.rank.weights)), answer.card.product
    if answer.verdict.status == "no":
        return product, "no", weights, "", "", ""
    return (
        product,
        answer.verdict.status,
        weights,
        _span(answer.pool),
        _rooms(answer.rooms),
        _count(answer.longest),
    )


def _rooms(rooms: Sequence[Room]) -> str:
    if len(rooms) == 1:
        return _count(rooms[0].requests)
    return "\n".join(f"{_count(room.requests)} of {room.tokens:,}" for room in rooms)


def _gpu(plan: GpuMemory) -> RenderableType:
    split, rank, beside = plan.split, plan.rank, plan.overhead
    parts = Table(box=None, show_header=False, pad_edge=False)
    parts.add_column(justify="left")
    parts.add_column(justify="right")
    parts.add_column(style="dim")
    for name, span, note in (
        ("weights", exactly(rank.weights), "exact"),
        ("  experts", exactly(rank.experts), ""),
        ("  dense MLPs", exactly(rank.dense), ""),
        ("  attention", exactly(rank.attention), "full layers' K is loaded as V too"),
        ("  embedding and head", exactly(rank.embedding), "one matrix"),
        ("  vision tower, norms, router", exactly(rank.other), "on every GPU"),
        ("libraries", beside.runtime, "CUDA, its libraries, NCCL; published figures"),
        ("activations", beside.activations, "of the largest step; derived from the shapes"),
        ("KV cache", plan.pool, f"preset {plan.preset}, {plan.slots} slots"),
        ("left free", plan.left, f"CUDA graphs take {_gib(beside.graphs)} of it"),
    ):
        parts.add_row(name, _gib(span), note)
    memory = plan.card.memory_bytes
    shown = f"{plan.card.product} · {split.precision} · tp {split.tp}" + (
        f", ep {split.ep}" if split.ep > 1 else ""
    )
    longest = f"longest request with {plan.slots} slots: {_count(plan.longest)} tokens"
    said = Text(f"{plan.verdict.status}: {plan.verdict.explain()}")
    rows: list[RenderableType] = [_bar(plan), parts, _lengths(plan.rooms), Text(longest), said]
    return Panel(
        Group(*rows), title=shown, title_align="left", subtitle=f"{memory / _GIB:.1f} GiB",
        subtitle_align="right",
    )  # fmt: skip


def _bar(plan: GpuMemory) -> Text:
    """Draw the memory at the cautious end of every span."""
    memory = plan.card.memory_bytes
    beside = plan.overhead.runtime.high + plan.overhead.activations.high
    text, drawn = Text(), 0
    for letter, style, size in (
        ("W", "blue", plan.rank.weights), ("o", "yellow", beside), ("K", "green", plan.pool.low)
    ):  # fmt: skip
        count = min(_BAR - drawn, round(size / memory * _BAR))
        text.append(letter * count, style=style)
        drawn += count
    text.append("." * (_BAR - drawn), style="dim")
    if plan.rank.weights > memory:
        text.append("  the weights alone are larger")
    return text.append("  W weights, o other, K KV cache" if drawn < _BAR else "")


def _cpu(plan: CpuMemory) -> RenderableType:
    parts = Table(box=None, show_header=False, pad_edge=False)
    parts.add_column(justify="left")
    parts.add_column(justify="right")
    parts.add_column(style="dim")
    parts.add_row("weights", _gib(exactly(plan.need.weight_bytes)), "exact, without the vocabulary")
    parts.add_row("buffers", _gib(exactly(plan.need.compute_bytes)), "estimate of the build")
    for room in plan.rooms:
        parts.add_row(
            f"needed, {plan.slots} of {room.tokens:,} tokens",
            _gib(exactly(plan.total(room.tokens))),
            "",
        )
    rows: list[RenderableType] = [parts]
    if plan.available is not None:
        rows.append(_lengths(plan.rooms))
    shown = "" if plan.available is None else f"{plan.available / _GIB:.1f} GiB"
    return Panel(
        Group(*rows), title=f"CPU (llama.cpp) · {plan.precision}", title_align="left",
        subtitle=shown or None, subtitle_align="right",
    )  # fmt: skip


def _lengths(rooms: Sequence[Room]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("tokens of a request", "its KV cache, MiB", "at once"):
        table.add_column(column, justify="right")
    for room in rooms:
        table.add_row(f"{room.tokens:,}", f"{room.kv_bytes / 2**20:,.0f}", _count(room.requests))
    return table


def _gib(span: Span) -> str:
    return f"{_span(span)} GiB"


def _span(span: Span) -> str:
    """Return GiB without the unit."""
    low, high = f"{span.low / _GIB:,.1f}", f"{span.high / _GIB:,.1f}"
    return low if low == high else f"{low} to {high}"


def _count(span: Span) -> str:
    low, high = f"{span.low:,.0f}", f"{span.high:,.0f}"
    return low if low == high else f"{low} to {high}"
