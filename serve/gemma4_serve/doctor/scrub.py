"""A report that may be sent to somebody: no names of this machine, its users or its folders."""

from __future__ import annotations

import getpass
import re
import socket
from typing import Any

__all__ = ["scrub"]

_PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/:;,'\"()]+/)+(?=[^\s/:;,'\"()])")
"""The folders of an absolute path; what follows a host name and its port is no path."""
_SHOWN = ("/dev/", "/proc/", "/sys/", "/v2/")
"""Beginnings of paths that are the same everywhere."""


def scrub(value: Any) -> Any:
    """Return ``value``, of JSON's types, with every absolute path cut to its last part, and without
    the names of this host and user."""
    if isinstance(value, dict):
        return {key: scrub(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(each) for each in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    text = _PATH.sub(lambda found: found[0] if found[0].startswith(_SHOWN) else ".../", text)
    for name, stands in ((socket.gethostname(), "HOST"), (_user(), "USER")):
        if len(name) > 1:
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", stands, text)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user may have no name
