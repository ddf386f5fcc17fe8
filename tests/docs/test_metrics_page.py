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

Counters and gauges are sent to Triton once a second, histograms every fifteen. A histogram with
less than 16 new values (1,024 of times between tokens) waits until no more come, for 60 s at most.
Triton shows its series as counters. All of them begin anew with each start of Triton but the
restarts, which `gemma4 serve` counts: `crashed` (a process ended), `frozen` (one stood still),
`stuck` (one was at work all the time, or answered nothing, for 20 s; or Triton took no response for
5 s), `start_failed` (Triton itself crashed in a start, or the start after a loss did not succeed).

* Cancels are failures with the status CANCELLED; refusals are those with UNAVAILABLE or
  INVALID_ARGUMENT. The codes: [errors.md](../errors.md). A code that is not there is `unknown`.
* Drafts are counted for TensorRT-LLM with an assistant, from the statistics of its iterations; with
  attention DP those are of its first rank. llama.cpp is used without a draft model here, so it has
  none of these families.
* No label takes a text from a client (tests/runtime/server/test_bounded_series.py and, for the
  gateway, tests/clients/gateway/test_gateway_series.py).

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
