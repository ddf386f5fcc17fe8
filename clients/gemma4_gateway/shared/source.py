"""Where Redis is: a URL with a password in it, so it comes from a file or the environment."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from gemma4_gateway.settings import SettingsError

__all__ = ["read_url"]

_SCHEMES = ("redis", "rediss", "unix")


def read_url(file: Path | None, variable: str, value: str) -> str | None:
    """Return the URL of ``file``, else the ``value`` of the environment's ``variable``; None
    without either. Raises :class:`SettingsError`, which never has the URL in it."""
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
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname or parts.scheme == "unix")
        usable = usable and parts.port != 0 and len(url.split()) == 1
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(
            f"{where}: is no URL of Redis; give redis://HOST:PORT/DB, rediss:// for TLS, or "
            "unix:///PATH, with USER:PASSWORD@ before the host where it asks for them"
        )
    return url
