"""Why a server cannot start; each message names the way out."""

from __future__ import annotations

__all__ = ["ServeError", "StartCrashError"]


class ServeError(Exception):
    """The server cannot start or had to stop."""


class StartCrashError(ServeError):
    """Triton itself crashed while it started, for no reason that it or a model gave. The next start
    may succeed."""
