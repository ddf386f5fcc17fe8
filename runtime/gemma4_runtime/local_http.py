"""HTTP to a server on this machine."""

from __future__ import annotations

import http.client
import urllib.request

__all__ = ["open_local"]

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def open_local(url: str, *, timeout: float) -> http.client.HTTPResponse:
    """Return the reply to GET, as :func:`urllib.request.urlopen` does, but never by the proxy that
    ``http_proxy`` names: it knows another 127.0.0.1. ``timeout`` is seconds. Raises
    :class:`OSError`."""
    reply: http.client.HTTPResponse = _DIRECT.open(url, timeout=timeout)
    return reply
