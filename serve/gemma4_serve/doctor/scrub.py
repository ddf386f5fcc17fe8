"""A report that may be sent to somebody: no secrets, and no names or addresses of this machine, its
users or its folders."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Iterator
from functools import cache
from typing import Any

import psutil

__all__ = ["scrub"]

_PATH = re.compile(r"(?<![\w./])(?!//)/(?:[^\s/:;,'\"()]+/)+(?=[^\s/:;,'\"()])")
"""The folders of an absolute path; what follows a host name and its port is no path."""
_SHOWN = ("/dev/", "/proc/", "/sys/", "/v2/")
"""Beginnings of paths that are the same everywhere."""
_SECRET_NAME = re.compile(r"(?i)token$|secret|passw|credential|api_?key|private_?key|auth$|cookie")
"""Names of settings whose text is a secret."""
_SECRETS = (
    re.compile(r"\b(?:hf_|nvapi-|sk-|gh[pousr]_|glpat-|AKIA)[A-Za-z0-9_-]{12,}"),
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"),
)
"""Tokens of known forms, and user and password of an address."""
_HIDDEN = "SECRET"
_OWN_TEXTS = ("env_overrides",)
"""Settings whose texts are all a user's own."""
_GPU = re.compile(r"\b(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def scrub(value: Any, name: str = "") -> Any:
    """Return ``value``, of JSON's types, with every absolute path cut to its last part, and without
    secrets, the names of this host and user, network addresses of this host and the ids of its
    GPUs. ``name`` is what the value is of."""
    if isinstance(value, dict):
        inner = {key: name if name in _OWN_TEXTS else str(key) for key in value}
        return {key: scrub(each, inner[key]) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(each, name) for each in value]
    if not isinstance(value, str):
        return value
    if value and (name in _OWN_TEXTS or _SECRET_NAME.search(name)):
        return _HIDDEN
    return _text(value)


def _text(text: str) -> str:
    for secret in _own_secrets():
        text = text.replace(secret, _HIDDEN)
    for form in _SECRETS:
        text = form.sub(_HIDDEN, text)
    text = _PATH.sub(lambda found: found[0] if found[0].startswith(_SHOWN) else ".../", text)
    text = _GPU.sub("GPU-ID", text)
    for name, stands in _names():
        text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", stands, text)
    return text


def _own_secrets() -> list[str]:
    """Return secrets of this process's environment, which a program may have printed."""
    return [
        value for name, value in os.environ.items() if len(value) >= 8 and _SECRET_NAME.search(name)
    ]


def _names() -> Iterator[tuple[str, str]]:
    for name, stands in ((socket.gethostname(), "HOST"), (_user(), "USER")):
        if len(name) > 1:
            yield name, stands
    for address in _addresses():
        yield address, "ADDRESS"


@cache
def _addresses() -> tuple[str, ...]:
    """Return this host's network and hardware addresses, those of the loopback device apart."""
    return tuple(
        each.address.partition("%")[0]
        for device, found in psutil.net_if_addrs().items()
        if device != "lo"
        for each in found
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""  # a container's user may have no name
