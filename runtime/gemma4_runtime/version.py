"""The version of this project."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["project_version"]


@cache
def project_version() -> str:
    """Return the installed version; ``0+unknown`` for a source tree that is not installed."""
    try:
        return version("gemma4-triton")
    except PackageNotFoundError:
        return "0+unknown"
