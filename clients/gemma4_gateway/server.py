"""uvicorn, with an end that lets running answers finish."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from types import FrameType

import uvicorn
from gemma4_runtime.logs.writer import writer_of

from gemma4_gateway.app import create_asgi
from gemma4_gateway.banner import banner
from gemma4_gateway.connections import HEAD_S, Connections, openable, protocol_of
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.settings import SettingsError

__all__ = ["GatewayServer", "claim_socket", "config_of", "run"]

_AT_ONCE = 130
"""Exit status after a second signal, as of SIGINT in a shell (128 + 2)."""


def claim_socket(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 takes a free one. Raises :class:`SettingsError`."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((bare, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"--host {host} --port {port}: {error.strerror or error}; choose another port"
        ) from None
    return listener


class GatewayServer(uvicorn.Server):
    """The first signal (SIGTERM, SIGINT, or SIGHUP of a terminal that closes) drains: not ready,
    new requests get 503, running answers finish within ``grace`` seconds; then it ends with 0. A
    second SIGTERM or SIGINT ends the process at once, with 130."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._asked: float | None = None
        self._signal = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is imported by now lives to the end: the garbage collector need not walk it again.
        gc.collect()
        gc.freeze()
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` sets it
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.handle_exit, signal.SIGHUP, None)
        host, port = (sockets or [self.servers[0].sockets[0]])[0].getsockname()[:2]
        text, member = banner(self._gateway, host, port), self._gateway.member
        if member is None:
            writer_of(1).write(text)
        else:
            member.beat()
            member.started(text)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            if sig == signal.SIGHUP:  # a terminal that closes sends more than one
                return
            os._exit(_AT_ONCE)
        self._asked = time.monotonic()
        self._signal = signal.Signals(sig).name
        self._gateway.lifecycle.draining = True

    async def on_tick(self, counter: int) -> bool:
        member = self._gateway.member
        if member is not None:
            member.beat()
            if counter % 10 == 0:  # for whoever of the workers is asked
                self._gateway.refresh_metrics()
        if self._asked is None:
            if counter % 10 == 0:
                self._gateway.reload_files()
            return await super().on_tick(counter)
        lifecycle, settings = self._gateway.lifecycle, self._gateway.settings
        waited = time.monotonic() - self._asked
        if waited < settings.drain_delay:
            return False
        if lifecycle.running and waited < settings.grace:
            return False
        cut = lifecycle.abort_all()
        if cut:
            await asyncio.wait_for(lifecycle.idle.wait(), 5)
        self._gateway.log.event("stopped", signal=self._signal, cut_off=cut)
        return True


def run(gateway: Gateway, listener: socket.socket) -> None:
    """Serve until a signal, then return."""
    gateway.log.take_logging()
    try:
        GatewayServer(config_of(gateway), gateway).run(sockets=[listener])
    finally:
        gateway.log.close()


def config_of(
    gateway: Gateway, *, most_connections: int | None = None, head_s: float = HEAD_S
) -> uvicorn.Config:
    """Return how HTTP is served. ``most_connections`` None: as many as files may be open.
    ``head_s``: seconds for the head of a request. Raises :class:`SettingsError` when too few files
    may be."""
    most = openable() if most_connections is None else most_connections
    shared = Connections(gateway.metrics, most, gateway.lifecycle, head_s)
    return uvicorn.Config(
        create_asgi(gateway),
        http=protocol_of(shared, gateway.certificates),
        loop="uvloop",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=5,
        backlog=1024,
    )
