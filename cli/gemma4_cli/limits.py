"""What a number on the command line must keep to, in words."""

from __future__ import annotations

from typing import Any

__all__ = ["limits"]


def limits(param: Any) -> str:
    """Return the range of an option, such as ``at least 1``; empty where it has none."""
    least, most = getattr(param, "min", None), getattr(param, "max", None)
    if least is not None and most is not None:
        return f"from {least} to {most}"
    if least is not None:
        return f"at least {least}"
    return "" if most is None else f"at most {most}"
