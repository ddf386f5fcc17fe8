"""Where Redis is: a URL with a password in it, so it comes from a file or the environment."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from gemma4_gateway.settings import SettingsError

__all__ = ["answer_seconds", "read_url"]

_SCHEMES = ("redis", "rediss", "unix")
_ANSWER_S = 0.5
"""Seconds that Redis has for an answer, and for a connection, unless its URL says others. It is a
thousand times what Redis needs, and a request waits so long when Redis is lost."""
_MOST_S = 60.0
"""Longest ``socket_timeout`` in seconds; requests wait for it, and clients wait for them."""
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_CHOICES = {
    "ssl_cert_reqs": ("required", "optional", "none"),
    "ssl_check_hostname": ("true", "false"),
}
_TLS = (*_FILES, *_CHOICES)
_PLAIN = ("client_name", "db", "password", "socket_timeout", "username")


def read_url(file: Path | None, variable: str, value: str) -> str | None:
    """Return the URL of ``file``, else the ``value`` of the environment's ``variable``; None
    without either. Raises :class:`SettingsError`, which never has a password in it."""
    where = f"--limits-redis-file {file}" if file is not None else variable
    if file is not None:
        try:
            value = file.read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is no text"
            raise SettingsError(f"{where}: {reason}") from None
    url = value.strip()
    if not url:
        if file is not None:
            raise SettingsError(f"{where}: is empty; put a URL such as redis://HOST:6379/0 into it")
        return None
    if not _is_url(url):
        raise SettingsError(
            f"{where}: is no URL of Redis; give redis://HOST:PORT/DB, rediss:// for TLS, or "
            "unix:///PATH, with USER:PASSWORD@ before the host where it asks for them"
        )
    if problem := _problem(url):
        raise SettingsError(f"{where}: {problem}")
    return url


def answer_seconds(url: str) -> float:
    """Return the seconds that Redis has for an answer. ``url``: as :func:`read_url` returns it."""
    return float(dict(_options(url)).get("socket_timeout", _ANSWER_S))


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        there = bool(parts.path.strip("/") if parts.scheme == "unix" else parts.hostname)
        return parts.scheme in _SCHEMES and there and parts.port != 0 and len(url.split()) == 1
    except ValueError:
        return False


def _options(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def _problem(url: str) -> str | None:
    """Return what is wrong behind the host. The client would leave it out, or fail when it
    connects."""
    parts = urlsplit(url)
    if parts.fragment:
        return "has a # in it; write %23 where it belongs to the password"
    if parts.scheme != "unix" and not re.fullmatch(r"(/[0-9]*)?", parts.path):
        return "names no database; give its number after the host, as in redis://HOST:6379/0"
    known = (*_PLAIN, *_TLS) if parts.scheme == "rediss" else _PLAIN
    seen: set[str] = set()
    for name, value in _options(url):
        if name not in known:
            told = f"{name!r}" if re.fullmatch("[a-z_]{1,40}", name) else "something else"
            tls = " of rediss://" if name in _TLS else ""
            return f"has {told}{tls} after the ?; it may have: {', '.join(sorted(known))}"
        if name in seen:
            return f"has {name} twice; give it once"
        seen.add(name)
        if problem := _problem_of(name, value):
            return f"{name}: {problem}"
    return None


def _problem_of(name: str, value: str) -> str | None:
    if not value:
        return "has no value; give one, or leave it out"
    if name == "db" and not re.fullmatch("[0-9]{1,9}", value):
        return f"{value!r} is no number of a database; give 0 for the first"
    if name == "socket_timeout":
        fits = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", value) and 0 < float(value) <= _MOST_S
        return None if fits else f"{value!r} has to be seconds above 0, up to {_MOST_S:.0f}"
    if name in _CHOICES and value not in _CHOICES[name]:
        return f"{value!r} is none of {', '.join(_CHOICES[name])}"
    if name in _FILES:
        try:
            Path(value).open("rb").close()
        except (OSError, ValueError) as error:
            return f"{value}: {getattr(error, 'strerror', None) or error}"
    return None
