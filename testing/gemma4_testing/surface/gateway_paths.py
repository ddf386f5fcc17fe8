"""The gateway's paths: those that want no key. Every other one does, where there are keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["WITHOUT_KEY", "paths_of"]

WITHOUT_KEY = {
    "/": "the chat page, or /health/ready",
    "/ui": "files of the chat page",
    "/docs": "the API's description for people",
    "/openapi.json": "the API's description for programs",
    "/health/live": "whether it lives",
    "/health/ready": "whether it takes requests, and why not",
    "/health": "as /health/ready",
    "/ping": "as /health/ready",
    "/version": "the version",
    "/metrics": "counts and times, by the names of keys, models and back ends",
}
"""Path to what it shows."""


def paths_of(app: Any) -> Iterator[tuple[str, str]]:
    """Yield method and path of each route of a FastAPI application; a mount is GET."""
    for route in app.routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from paths_of(included)
            continue
        for method in sorted(getattr(route, "methods", None) or {"GET"}):
            if method != "HEAD":
                yield method, route.path
