"""Why a server cannot start; each message names the way out."""

from __future__ import annotations

__all__ = ["ServeError"]


class ServeError(Exception):
    """The server cannot start or had to stop."""
