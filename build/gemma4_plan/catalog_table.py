"""The catalog for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from gemma4_plan.catalog import Catalog, Figure, Price, Tflops

__all__ = ["show"]


def show(catalog: Catalog, console: Console) -> None:
    """Print the figures, and below them their sources by number."""
    sources: dict[str, int] = {}

    def mark(found: Figure | Tflops | Price | None) -> str:
        if found is None:
            return ""
        return f" ({sources.setdefault(f'{found.source}, {found.date}', len(sources) + 1)})"

    def figure(found: Figure | None, scale: float = 1.0) -> str:
        return "" if found is None else f"{found.value / scale:,.4g}{mark(found)}"

    table = Table(title_justify="left")
    table.add_column("name")
    for column in ("GB", "usable GiB", "GB/s", "dense TFLOP/s bf16, fp8, nvfp4", "link GB/s",
                   "$ an hour"):  # fmt: skip
        table.add_column(column, justify="right")
    for name, card in catalog.gpus.items():
        flops = card.tflops
        rates = [] if flops is None else [flops.bf16, flops.fp8, flops.nvfp4]
        speeds = ", ".join("-" if rate is None else f"{rate:,.4g}" for rate in rates)
        price = card.usd_per_hour
        table.add_row(
            name,
            str(card.memory_gb),
            figure(card.usable_bytes, 2**30),
            figure(card.bandwidth_gbs),
            speeds + mark(flops),
            figure(card.link_gbs),
            "" if price is None else f"{price.low:.2f} to {price.high:.2f}{mark(price)}",
        )
    table.add_row("cpu", "", "", figure(catalog.cpu.bandwidth_gbs), "", "", "")
    console.print(table)
    for text, number in sources.items():
        console.print(f"{number}. {text}", soft_wrap=True, highlight=False, markup=False)
