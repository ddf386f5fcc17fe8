"""The HTTP service of ``--health-port``: ``/health/live`` and ``/health/ready``, with the reason.

Triton's own ``/v2/health/ready`` cannot say that a loaded engine takes no requests. This one is
asked of the supervisor, and so answers while a server loads, restarts and drains.
"""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import BoundedSemaphore, Thread
from typing import Any

from gemma4_serve.health import Health
from gemma4_serve.hosts import resolve

__all__ = ["HealthServer"]

_TIMEOUT_S = 2.0
"""Seconds that a client has to send its request and to take the answer."""
_MOST = 16
"""Connections at once; a further one is closed."""


class HealthServer(ThreadingHTTPServer):
    """Serves in threads of its own until :meth:`close`. Raises :class:`OSError` when it cannot
    listen."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, health: Health) -> None:
        self.address_family, address = resolve(host, port)
        self.health = health
        self._places = BoundedSemaphore(_MOST)
        super().__init__(address, _Handler)
        Thread(target=self.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: socket.socket | Any, client_address: Any) -> None:
        """Say nothing: the client has left, or sent what is no HTTP."""


class _Handler(BaseHTTPRequestHandler):
    server: HealthServer
    timeout = _TIMEOUT_S
    server_version, sys_version = "gemma4", ""

    def do_GET(self) -> None:
        health = self.server.health
        ask = {"/health/live": health.live, "/health/ready": health.ready}.get(self.path)
        if ask is None:
            self.send_error(HTTPStatus.NOT_FOUND, "use /health/live or /health/ready")
            return
        state = ask()
        body = json.dumps(state.body()).encode() + b"\n"
        self.send_response(HTTPStatus.OK if state.well else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: probes come every few seconds."""
