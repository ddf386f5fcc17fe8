"""The protocols that a load can come by."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from gemma4_load.errors import OptionError
from gemma4_load.targets.base import Target

__all__ = ["API_KEY", "Target", "connect"]

API_KEY = "GEMMA4_LOAD_API_KEY"
"""Environment variable with the key of an OpenAI server."""


def connect(url: str, *, timeout: float, model: str = "") -> Target:
    """Choose the target by the URL: host:port or grpc:// is Triton's gRPC, http:// Triton's HTTP,
    http://.../v1 an OpenAI server. Call it in the event loop. Raises :class:`OptionError`."""
    parts = urlsplit(url if "://" in url else f"grpc://{url}")
    if parts.path.rstrip("/").endswith("/v1"):
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise OptionError(f"--url {url}: an OpenAI server is http://host:port/v1")
        from gemma4_load.targets.openai import OpenAITarget

        key = os.environ.get(API_KEY, "")
        return OpenAITarget(url, timeout=timeout, model=model, api_key=key)
    if model:
        raise OptionError(
            f"--model {model}: only an OpenAI server (http://.../v1) has names of models"
        )
    from gemma4_load.targets.triton import TritonTarget

    try:
        return TritonTarget(url, timeout=timeout)
    except ValueError as error:
        raise OptionError(f"--url {url}: {error}") from None
