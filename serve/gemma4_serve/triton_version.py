"""Whether a Triton server is one that a single HTTP request can end.

Before 2.73 (image 26.09) Triton does not catch a number in the header
Inference-Header-Content-Length that is too large for an int, and ends (server#8925). The wheel's
server is older still; :mod:`gemma4_serve.exposure` keeps it on loopback.
"""

from __future__ import annotations

import json
from pathlib import Path

from gemma4_runtime.local_http import open_local
from packaging.version import InvalidVersion, Version

__all__ = ["FIRST_FIXED", "ask_version", "outdated", "stated_version"]

FIRST_FIXED = (2, 73)
"""The first release with the check, in the image 26.09 of 30 September 2026."""
_TIMEOUT_S = 5.0
"""Seconds that a ready server has to say its version."""


def stated_version(binary: Path) -> str:
    """Return what the file TRITON_VERSION of an installation says, by its ``bin/tritonserver``;
    empty where there is none."""
    try:
        return (binary.parents[1] / "TRITON_VERSION").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def ask_version(url: str) -> str:
    """Return the version that a running server's metadata (``/v2``) name; empty where it says
    none."""
    try:
        with open_local(url, timeout=_TIMEOUT_S) as answer:
            found = json.load(answer).get("version")
    except (OSError, ValueError, AttributeError):
        return ""
    return found if isinstance(found, str) else ""


def outdated(version: str) -> str | None:
    """Return why a server of ``version`` should be replaced, with the way out; None where it has
    the check, and for what is no version."""
    try:
        if Version(version).release >= FIRST_FIXED:
            return None
    except InvalidVersion:
        return None
    first = ".".join(map(str, FIRST_FIXED))
    return (
        f"one HTTP request can end Triton {version} (server#8925): use {first} or newer (image "
        "26.09), or let only `gemma4 gateway` reach its HTTP port (docs/security.md)"
    )
