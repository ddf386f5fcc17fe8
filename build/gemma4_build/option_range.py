"""The range of a number that is an option of a build."""

from __future__ import annotations

from gemma4_build.errors import BadOptionError

__all__ = ["check_range"]


def check_range(option: str, value: int | None, least: int, most: int | None = None) -> None:
    """Raise :class:`BadOptionError` for a ``value`` below ``least`` or above ``most``."""
    if value is not None and value < least:
        raise BadOptionError(f"{option} {value}: must be at least {least}")
    if value is not None and most is not None and value > most:
        raise BadOptionError(f"{option} {value}: must be at most {most}")
