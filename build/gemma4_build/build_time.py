"""When an engine folder was made."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from gemma4_build.errors import BuildError

__all__ = ["build_time"]


def build_time() -> datetime:
    """Now in UTC, to the second; or the time that SOURCE_DATE_EPOCH gives, in seconds since 1970,
    so that two builds of the same sources are the same. Raises :class:`BuildError`."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError):
        raise BuildError(
            f"SOURCE_DATE_EPOCH={given}: must be whole seconds since 1970, such as 1767225600"
        ) from None
