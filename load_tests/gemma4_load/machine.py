"""The machine that the load comes from."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

__all__ = ["machine"]


def _processor() -> str:
    """Return the processor's name; its architecture where the system does not tell."""
    with suppress(OSError):
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """Return what the report says of this machine; ``memory`` in bytes."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": psutil.cpu_count() or 1,
        "memory": psutil.virtual_memory().total,
    }
