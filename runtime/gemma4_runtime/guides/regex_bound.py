"""Regular expressions that clients send: what they may cost."""

from __future__ import annotations

import re
import warnings

from gemma4_runtime.errors import Code, invalid
from gemma4_runtime.guides.repeats import expanded_size

__all__ = ["check_regex"]

_SHOWN = 60
"""Characters of a regular expression that an error shows."""


def check_regex(field: str, pattern: str, *, most_size: int) -> None:
    """Check a regular expression. Raises INVALID_ARGUMENT for one that Python's ``re`` does not
    take, or whose repeats come to more than ``most_size`` parts."""
    size = expanded_size(pattern)
    if size > most_size:
        shown = pattern if len(pattern) <= _SHOWN else pattern[:_SHOWN] + "..."
        raise invalid(
            Code.INPUT_TOO_COMPLEX,
            field,
            f"the regular expression {shown!r} has {size} parts when its repeats are written out; "
            f"at most {most_size}; use smaller counts, or * and +",
            size=size,
            limit=most_size,
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set" and the like
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise invalid(Code.INVALID_REGEX, field, f"is not a regular expression: {error}") from None
