"""What the three tools of ``agreement.py`` reported, in the same units, and how far it is apart.
Pure."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

__all__ = [
    "LABELS",
    "Figures",
    "NotComparableError",
    "apart",
    "from_aiperf",
    "from_load",
    "from_locust",
    "median",
    "table",
]

BASE = "gemma4 load"
"""The others are compared with it."""


class NotComparableError(Exception):
    """A tool's run that says nothing about the server."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run. Times are milliseconds; tokens are the server's counts, means of the requests."""

    prompt_tokens: float
    output_tokens: float
    ttft_mean: float
    ttft_p50: float
    ttft_p90: float
    itl_mean: float
    tokens_per_s: float
    requests_per_s: float


LABELS = {
    "prompt_tokens": "prompt tokens",
    "output_tokens": "output tokens",
    "ttft_mean": "TTFT mean, ms",
    "ttft_p50": "TTFT p50, ms",
    "ttft_p90": "TTFT p90, ms",
    "itl_mean": "ITL mean, ms",
    "tokens_per_s": "output tokens/s",
    "requests_per_s": "requests/s",
}


def from_load(report: Mapping[str, Any]) -> Figures:
    """Read ``report.json`` of one level of `gemma4 load`. Raises :class:`NotComparableError`."""
    level = report["levels"][0]
    faults = [*level["invalid_reasons"], *level["errors"]]
    if level["stopped"]:
        faults.append(level["stopped"])
    if faults:
        raise NotComparableError("gemma4 load: " + "; ".join(faults))
    of, run = level["requests"], level["run"]
    return Figures(
        prompt_tokens=of["prompt_tokens"]["mean"],
        output_tokens=of["output_tokens"]["mean"],
        ttft_mean=of["ttft"]["mean"] * 1000,
        ttft_p50=of["ttft"]["p50"] * 1000,
        ttft_p90=of["ttft"]["p90"] * 1000,
        itl_mean=of["itl"]["mean"] * 1000,
        tokens_per_s=run["output_throughput"],
        requests_per_s=run["request_throughput"],
    )


def from_aiperf(export: Mapping[str, Any]) -> Figures:
    """Read ``profile_export_aiperf.json``. Raises :class:`NotComparableError`."""
    errors = export.get("error_request_count")
    if errors and errors["avg"]:
        raise NotComparableError(f"AIPerf: {errors['avg']:.0f} requests failed")
    try:
        return Figures(
            prompt_tokens=export["input_sequence_length"]["avg"],
            output_tokens=export["output_sequence_length"]["avg"],
            ttft_mean=_ms(export["time_to_first_token"])["avg"],
            ttft_p50=_ms(export["time_to_first_token"])["p50"],
            ttft_p90=_ms(export["time_to_first_token"])["p90"],
            itl_mean=_ms(export["inter_token_latency"])["avg"],
            tokens_per_s=export["output_token_throughput"]["avg"],
            requests_per_s=export["request_throughput"]["avg"],
        )
    except KeyError as error:
        raise NotComparableError(f"AIPerf: no {error.args[0]} in its export") from None


def _ms(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    if metric["unit"] != "ms":
        raise NotComparableError(f"AIPerf: a time in {metric['unit']}, not in ms")
    return metric


def from_locust(table: str, entries: Sequence[Mapping[str, Any]]) -> Figures:
    """Read our users' table, and locust's ``--json-file``. locust has no rate of tokens: it is the
    rate of requests times their mean tokens. Raises :class:`NotComparableError`."""
    if len(entries) != 1 or not entries[0]["num_requests"]:
        raise NotComparableError("locust: no requests of one kind after the warm-up")
    entry = entries[0]
    if entry["num_failures"]:
        raise NotComparableError(f"locust: {entry['num_failures']} requests failed")
    ttft = _row(table, "time to first token, ms")
    output = _row(table, "output tokens, tokens")["mean"]
    rate = entry["num_requests"] / (entry["last_request_timestamp"] - entry["start_time"])
    return Figures(
        prompt_tokens=_row(table, "prompt tokens, tokens")["mean"],
        output_tokens=output,
        ttft_mean=ttft["mean"],
        ttft_p50=ttft["p50"],
        ttft_p90=ttft["p90"],
        itl_mean=_row(table, "inter-token latency, ms")["mean"],
        tokens_per_s=rate * output,
        requests_per_s=rate,
    )


def _row(table: str, label: str) -> dict[str, float]:
    """Return the cells of a row by the names of the columns, which stand in the first line."""
    found = re.search(rf"^ {{20,}}(count .*)\n(?:.*\n)*?{re.escape(label)} +(.*)$", table, re.M)
    if found is None:
        raise NotComparableError(f"locust: no row {label!r} in its table")
    cells = [float(cell.replace(",", "")) for cell in found[2].split()]
    return dict(zip(found[1].split(), cells, strict=True))


def median(runs: Sequence[Figures]) -> Figures:
    """Return the medians figure by figure."""
    return Figures(*(statistics.median(values) for values in zip(*map(astuple, runs), strict=True)))


def apart(found: Mapping[str, Figures], tolerance: float) -> list[str]:
    """Return the figures that differ from :data:`BASE` by more than ``tolerance``, a share of
    it."""
    return [
        f"{tool}, {LABELS[field.name]}: {_ratio(field.name, found, tool):.3f} of {BASE}"
        for field in fields(Figures)
        for tool in found
        if abs(_ratio(field.name, found, tool) - 1) > tolerance
    ]


def _ratio(name: str, found: Mapping[str, Figures], tool: str) -> float:
    return float(getattr(found[tool], name) / getattr(found[BASE], name))


def table(title: str, found: Mapping[str, Figures]) -> str:
    """Return a table with a row for each figure; after that of another tool stands its ratio to
    :data:`BASE`."""
    others = [tool for tool in found if tool != BASE]
    lines = [f"{title:16} {BASE:>12}" + "".join(f" {tool:>10} {'ratio':>7}" for tool in others)]
    for name, label in LABELS.items():
        cells = [f"{label:16} {getattr(found[BASE], name):>12.2f}"]
        cells += [
            f"{getattr(found[tool], name):>10.2f} {_ratio(name, found, tool):>7.3f}"
            for tool in others
        ]
        lines.append(" ".join(cells))
    return "\n".join(lines)
