"""Which proxy of the environment stands before a server."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from gemma4_client.address import Address

__all__ = ["proxy_note"]


def proxy_note(address: Address) -> str:
    """Return what an error about the connection adds: the proxy that was asked, without its
    password; "" when none was."""
    if address.local:
        return ""
    parts = urlsplit(f"//{address.target}")
    if proxy_bypass(parts.hostname or ""):
        return ""
    found = getproxies()
    scheme = "https" if address.tls else "http"
    proxy = found.get(scheme) or found.get("all")
    if not proxy:
        return ""
    asked = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    shown = f"{asked.hostname}:{asked.port}" if asked.port else asked.hostname
    name = f"{scheme}_proxy" if found.get(scheme) else "all_proxy"
    return (
        f" (by the proxy {shown} of the environment variable {name}; name the host in no_proxy to "
        "go without it)"
    )
