"""The protocols that a load can come by."""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

from gemma4_client.address import parse_address
from gemma4_client.tls import TLS

from gemma4_load.errors import OptionError
from gemma4_load.targets.base import Target

__all__ = ["API_KEY", "CLIENT_CERT", "CLIENT_KEY", "Target", "client_certificate", "connect"]

API_KEY = "GEMMA4_LOAD_API_KEY"
"""Environment variable with the key of an OpenAI server."""
CLIENT_CERT, CLIENT_KEY = "GEMMA4_LOAD_CLIENT_CERT", "GEMMA4_LOAD_CLIENT_KEY"
"""Environment variables with PEM files, for an OpenAI server that asks for a certificate (mTLS)."""


def client_certificate() -> ssl.SSLContext | None:
    """Return what shows the certificate of the environment; None without one. Raises
    :class:`OptionError` that names the variables."""
    cert, key = os.environ.get(CLIENT_CERT), os.environ.get(CLIENT_KEY)
    if not cert and not key:
        return None
    try:
        return TLS(cert=cert or None, key=key or None).ssl_context()
    except (OSError, ValueError) as error:
        raise OptionError(
            f"{CLIENT_CERT}={cert or ''}, {CLIENT_KEY}={key or ''}: {error}"
        ) from None


def connect(url: str, *, timeout: float, model: str = "") -> Target:
    """Choose the target by the URL: host:port or grpc:// is Triton's gRPC, http:// Triton's HTTP,
    http://.../v1 an OpenAI server. Call it in the event loop. Raises :class:`OptionError`."""
    parts = urlsplit(url if "://" in url else f"grpc://{url}")
    if parts.path.rstrip("/").endswith("/v1"):
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise OptionError(f"--url {url}: an OpenAI server is http://host:port/v1")
        try:
            parse_address(url)  # aiohttp would not say which part is wrong
        except ValueError as error:
            raise OptionError(f"--url {url}: {error}") from None
        from gemma4_load.targets.openai import OpenAITarget

        key = os.environ.get(API_KEY, "")
        return OpenAITarget(
            url, timeout=timeout, model=model, api_key=key, context=client_certificate()
        )
    if model:
        raise OptionError(
            f"--model {model}: only an OpenAI server (http://.../v1) has names of models"
        )
    from gemma4_load.targets.triton import TritonTarget

    try:
        return TritonTarget(url, timeout=timeout)
    except ValueError as error:
        raise OptionError(f"--url {url}: {error}") from None
