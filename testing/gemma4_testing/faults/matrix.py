"""The whole fault matrix: every process, killed and frozen, in every phase.

``python -m gemma4_testing.faults.matrix --out FILE`` runs all cells, or those that ``--only`` names, one after
the other, and writes a Markdown table after each. Exit status 1 when a cell says "never".
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from gemma4_testing.faults.cell import (
    FAULTS,
    PHASES,
    PROCESSES,
    Cell,
    Result,
    fault_engine,
    run_cell,
)

_HEAD = (
    "| process | fault | phase | streams | told after | not ready after | answers again after | "
    "exit | left |\n|---|---|---|---|---|---|---|---|---|\n"
)


def cells(only: list[str]) -> list[Cell]:
    """Those whose words contain every word of one of ``only``; all without."""
    found = [Cell(*names) for names in product(PROCESSES, FAULTS, PHASES)]
    if not only:
        return found
    return [
        c for c in found
        if any(all(w in f"{c.process} {c.fault} {c.phase}" for w in o.split(",")) for o in only)
    ]  # fmt: skip


def row(result: Result) -> str:
    cell = result.cell
    streams = ", ".join(f"{count} {kind}" for kind, count in sorted(result.outcomes.items()))
    times = (result.told, result.unready, result.recovered)
    told, unready, recovered = ("" if t is None else f"{t:.1f} s" for t in times)
    exit_status = "" if result.exit_status is None else result.exit_status
    left = ", ".join(result.left)
    return (
        f"| {cell.process} | {cell.fault} | {cell.phase} | {streams} | {told} | {unready} | "
        f"{recovered} | {exit_status} | {left} |\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[], help="such as engine,kill,decode")
    options = parser.parse_args()
    never = 0
    options.out.write_text(_HEAD, encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="gemma4-faults-") as folder:
        engine = fault_engine(Path(folder) / "engine")
        for cell in cells(options.only):
            began = time.monotonic()
            result = run_cell(cell, engine)
            never += result.outcomes["never"] or bool(result.left)
            with options.out.open("a", encoding="utf-8") as file:
                file.write(row(result))
            print(row(result), f"({time.monotonic() - began:.0f} s)", flush=True)
            for line in result.log:
                print("   ", line[:300], flush=True)
    return 1 if never else 0


if __name__ == "__main__":
    sys.exit(main())
