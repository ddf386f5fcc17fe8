"""The folders of the runtime, and which may use which."""

from __future__ import annotations

__all__ = ["BASE", "RUNTIME"]

BASE = "gemma4_runtime"
"""The modules of the runtime that are in no folder."""

RUNTIME: dict[str, set[str]] = {
    "logs": set(),
    "contract": set(),
    "metrics": {"logs"},
    "processes": {"logs"},
    "needs": set(),
    "tracing": {"needs"},
    "output": {"contract"},
    "trtllm": set(),
    "guides": {"output"},
    "engines": {"guides", "logs", "output", "processes", "trtllm"},
    "input": {"contract", "guides", "output"},
    "preparation": {"input", "guides", "logs", "output", "processes"},
    "server": {
        "contract",
        "engines",
        "input",
        "logs",
        "metrics",
        "output",
        "preparation",
        "processes",
        "tracing",
    },
}
"""Folders of the runtime, the lowest first, and those above the base that they may use."""
