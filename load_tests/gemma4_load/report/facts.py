"""What was run, by whom, on what: the lines under the verdict."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from gemma4_load.metrics import REQUEST_METRICS
from gemma4_load.report.numbers import quantity

__all__ = ["facts"]

_KINDS = {
    "lengths": "random words",
    "chat": "conversations",
    "tools": "questions with a tool",
    "structured": "answers as JSON of a schema",
}
_PROTOCOLS = (
    (r"https?://.*/v1/?$", "OpenAI's API"),
    (r"https?://", "Triton's HTTP"),
    ("", "Triton's gRPC"),
)
_GIB = 2**30
"""Bytes."""


def _length(text: str) -> str:
    """Return a length of the command line, such as ``uniform:10:40``, in words."""
    kind, _, numbers = text.partition(":")
    a, _, b = numbers.partition(":")
    forms = {
        "uniform": f"{a} to {b} (uniform)",
        "normal": f"{a} ± {b} (normal)",
        "lognormal": f"{a} (median; lognormal, sigma {b})",
    }
    return forms.get(kind, text)


def _workload(spec: dict[str, Any]) -> str:
    if spec.get("trace"):
        speed = spec.get("trace_speed", 1)
        return f"trace {spec['trace']}" + (f", {speed:g} times as fast" if speed != 1 else "")
    kind = spec.get("kind", "")
    parts = [_KINDS.get(kind, kind)]
    if kind in ("lengths", "chat") and "prompt" in spec:
        parts += [
            f"{_length(spec['prompt'])} prompt tokens",
            f"{_length(spec['output'])} output tokens",
        ]
    if kind == "chat" and "turns" in spec:
        parts += [
            f"{spec['turns']} turns",
            f"a shared system prompt of {spec['system_tokens']} tokens",
        ]
    if spec.get("cancel_share"):
        parts.append(f"{quantity(spec['cancel_share'], 'share')} left in the middle")
    parts += [f"{name} {value:g}" for name, value in (spec.get("sampling") or {}).items()]
    return ", ".join(part for part in parts if part)


def _engine(server: dict[str, Any]) -> str:
    named = " ".join(
        str(server[name]) for name in ("runtime", "runtime_version") if server.get(name)
    )
    if server.get("runtime") == "synthetic":
        return f"{named} (no model computes: answers come at a set pace)"
    return ", ".join(filter(None, [named, str(server.get("precision", ""))]))


def _client(client: dict[str, Any], url: str) -> str:
    parts = [client.get("processor") or client.get("machine", "")]
    if cores := client.get("cores"):
        parts.append(f"{cores} core{'s' * (cores != 1)}")
    if memory := client.get("memory"):
        parts.append(f"{memory / _GIB:.0f} GiB")
    said = ", ".join(part for part in parts if part)
    near = re.match(r"(https?://)?(127\.|localhost[:/]|\[::1\])", url)
    return f"{said} (the load and the server)" if near and said else said


def _when(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%-d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return text


def facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (name, value) of what the report knows of the run."""
    server, url = report.get("server") or {}, report.get("url", "")
    protocol = next(name for pattern, name in _PROTOCOLS if re.match(pattern, url))
    slos = [
        f"{REQUEST_METRICS[name].label} within {quantity(limit, REQUEST_METRICS[name].unit)}"
        if REQUEST_METRICS[name].better == "lower"
        else f"{REQUEST_METRICS[name].label} at least {quantity(limit, REQUEST_METRICS[name].unit)}"
        for name, limit in (report.get("slos") or {}).items()
    ]
    found = [
        ("Model", str(server.get("model", ""))),
        ("Engine", _engine(server)),
        ("Server", f"{url} ({protocol})" if url else ""),
        ("Machine", _client(report.get("client") or {}, url)),
        ("Workload", _workload(report.get("workload") or {})),
        ("SLOs", ", ".join(slos)),
        ("Started", _when(report.get("started", ""))),
        ("Tool", " ".join(filter(None, ["gemma4 load", report.get("version", "")]))),
        ("Seed", str(report.get("seed", ""))),
    ]
    return [(name, value) for name, value in found if value]
