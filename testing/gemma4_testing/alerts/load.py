"""Requests in the background, while a fault lasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event

import httpx

from gemma4_testing.servers.running_gateway import chat

__all__ = ["asked", "client", "going_on", "streamed"]

TIMEOUT_S = 120.0


def client(url: str) -> httpx.Client:
    # verify=False: no certificates are loaded, which takes longer than an answer.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, verify=False, limits=limits)


def asked(http: httpx.Client, text: str = "Hello", **more: object) -> int:
    """Ask a server itself; return the status."""
    body = {"messages": json.dumps([{"role": "user", "content": text}]), "temperature": 0.0}
    return http.post("/v2/models/gemma4/generate", json=body | more).status_code


def streamed(http: httpx.Client, **more: object) -> None:
    """Ask a gateway, and read the stream to its end."""
    body = chat() | more | {"stream": True}
    with http.stream("POST", "/v1/chat/completions", json=body) as reply:
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
