"""docs/reference/metrics.md is made from the families of metrics; `UPDATE_DOCS=1 pytest` on this
file writes it anew."""

from __future__ import annotations

import os

from gemma4_runtime.metrics.families import FAMILIES
from gemma4_testing.repository import ROOT

PAGE = ROOT / "docs" / "reference" / "metrics.md"
HEAD = """# Metrics

What the models add to Triton's own metrics at `http://HOST:8002/metrics`. Made from
`runtime/gemma4_runtime/metrics/families.py`. Times are in seconds. How to use them:
[operate.md](../operate.md#watch). The gateway has metrics of its own
([gateway.md](../gateway.md#log-and-metrics)).

| metric | kind | labels | what |
|---|---|---|---|
"""


def test_the_page_is_up_to_date() -> None:
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{x}`' for x in family.labels)} | "
        f"{family.help} |"
        for family in FAMILIES
    ]
    text = HEAD + "\n".join(rows) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    assert len(rows) > 20
    assert PAGE.read_text(encoding="utf-8") == text
