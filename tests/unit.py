"""Which tests `pytest --unit` leaves out (`make test-unit`): those that need a server or torch, and
those that take more than some seconds."""

from __future__ import annotations

__all__ = ["NOT_UNIT"]

NOT_UNIT = {
    "build": "builds engines and measures them; the reference is torch's",
    "demo": "trains and runs the demo model with torch",
    "deploy/test_docker.py": "asks transformers what the image will need",
    "e2e": "starts servers",
    "fresh": "not tests of pytest",
}
"""Paths under tests/, and why."""
