"""The rule files of deploy/monitoring, and a faster copy of them for tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "ALERTMANAGER", "MONITORING", "PROMETHEUS", "RULES", "alerts", "faster", "form_of", "forms",
    "names_of", "rules",
]  # fmt: skip

MONITORING = Path(__file__).parents[3] / "deploy" / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
PROMETHEUS = MONITORING / "prometheus.yml"
ALERTMANAGER = MONITORING / "alertmanager.yml"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RANGE = re.compile(r"\[(\d+)([smhd])\]")
_KEY = re.compile(
    r"^(\s+(?:- )?(?:for|group_wait|group_interval|repeat_interval): )(\d+)([smhd])$", re.M
)
_LABELS = re.compile(r"\{[^{}]*\}")
_METRIC = re.compile(r"\b(?:gemma4_|nv_)\w+|\bup\b")


def rules() -> list[dict[str, Any]]:
    """All rules, those that record too."""
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """The rules that are alerts."""
    return [rule for rule in rules() if "alert" in rule]


def form_of(labels: dict[str, str]) -> str:
    """Name and severity of an alert, and where it has several of them, which one."""
    kind = labels.get("by") or labels.get("target", "")
    return " ".join(filter(None, (labels["alertname"], labels["severity"], kind)))


def forms() -> set[str]:
    """All of :func:`form_of`: an alert is one or several rules."""
    return {form_of({"alertname": rule["alert"], **rule["labels"]}) for rule in alerts()}


def names_of(expr: str) -> set[str]:
    """The metrics that an expression reads, without those that rules record."""
    return set(_METRIC.findall(_LABELS.sub("", expr)))


def faster(text: str, factor: int, *, least: int, most: int) -> str:
    """A rule file or alertmanager.yml with ``for``, waits and ranges of queries divided by
    ``factor``. A range has ``least`` to ``most`` seconds then, any other time 1 to ``most``. Nothing
    else changes: a number in an expression stays what it is."""

    def short(match: re.Match[str], lower: int) -> int:
        *_, number, unit = match.groups()
        return max(lower, min(most, int(number) * _UNITS[unit] // factor))

    text = _RANGE.sub(lambda m: f"[{short(m, least)}s]", text)
    return _KEY.sub(lambda m: f"{m[1]}{short(m, 1)}s", text)
