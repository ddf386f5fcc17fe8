"""Somebody who asks for something small, all the time, while others misbehave."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time

__all__ = ["Canary"]

_CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "canary"}]}).encode()
_EVERY_S = 0.02


class Canary:
    """``with Canary(port) as canary``: asks /health/live and for a short chat by turns.
    ``seconds`` of each answer; ``wrong``: answers that were not 200, and connections that broke."""

    def __init__(
        self,
        port: int,
        *,
        chat: bytes = _CHAT,
        timeout: float = 60,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.seconds: list[float] = []
        self.wrong: list[str] = []
        self._port = port
        self._chat = chat
        self._timeout = timeout
        self._tls = tls
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            for method, path, body in (
                ("GET", "/health/live", None),
                ("POST", "/v1/chat/completions", self._chat),
            ):
                started = time.perf_counter()
                try:
                    self._ask(method, path, body)
                except OSError as error:
                    self.wrong.append(f"{path}: {error!r}")
                self.seconds.append(time.perf_counter() - started)

    def _ask(self, method: str, path: str, body: bytes | None) -> None:
        connection = (
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
            if self._tls is None
            else http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=self._timeout, context=self._tls
            )
        )
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            reply = connection.getresponse()
            data = reply.read()
            if reply.status != 200:
                self.wrong.append(f"{path}: {reply.status} {data[:200]!r}")
        finally:
            connection.close()

    def quantile(self, q: float) -> float:
        """Seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(len(ordered) * q), len(ordered) - 1)]

    def __enter__(self) -> Canary:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
