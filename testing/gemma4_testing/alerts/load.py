"""Requests in the background, while a fault lasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event

import httpx

from gemma4_testing.servers.running_gateway import chat

__all__ = ["asked", "client", "going_on", "streamed", "streamed_directly"]

TIMEOUT_S = 120.0


def client(url: str) -> httpx.Client:
    # verify=False: no certificates are loaded, which takes longer than an answer.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, verify=False, limits=limits)


def asked(http: httpx.Client, text: str = "Hello", **more: object) -> int:
    """Ask a server itself; return the status."""
    return http.post("/v2/models/gemma4/generate", json=_prompt(text) | more).status_code


def streamed_directly(http: httpx.Client, **more: object) -> None:
    """Ask a server itself, and read the stream to its end."""
    _read(http, "/v2/models/gemma4/generate_stream", _prompt("Hello") | more | {"stream": True})


def streamed(http: httpx.Client, **more: object) -> None:
    """Ask a gateway, and read the stream to its end."""
    _read(http, "/v1/chat/completions", chat() | more | {"stream": True})


def _prompt(text: str) -> dict[str, object]:
    messages = [{"role": "user", "content": text}]
    return {"messages": json.dumps(messages), "temperature": 0.0}


def _read(http: httpx.Client, path: str, body: dict[str, object]) -> None:
    with http.stream("POST", path, json=body) as reply:
        for _ in reply.iter_lines():
            pass


@contextmanager
def going_on(ask: Callable[[], object], users: int, pause: float = 0.0) -> Iterator[Event]:
    """``users`` threads call ``ask`` again and again. A server that does not answer is part of
    what is tested."""
    over = Event()

    def user() -> None:
        while not over.is_set():
            with suppress(httpx.TransportError):
                ask()
            over.wait(pause)

    with ThreadPoolExecutor(users) as pool:
        made = [pool.submit(user) for _ in range(users)]
        try:
            yield over
        finally:
            over.set()
    for each in made:
        each.result()
