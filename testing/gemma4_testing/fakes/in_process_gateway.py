"""A gateway in this process, behind its real HTTP server, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.server import claim_socket, config_of
from gemma4_gateway.settings import KeySource, Limits, Settings, StoreOptions, TlsFiles

from gemma4_testing.fakes.log_text import LogText

__all__ = ["InProcess", "gateway_before"]


class InProcess:
    """``url``, and the parts."""

    def __init__(self, gateway: Gateway, url: str, log: LogText) -> None:
        self.gateway = gateway
        self.url = url
        self.log = log

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, verify=False, **options)

    def chat(self, text: str, **more: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
        with self.http() as http:
            return http.post("/v1/chat/completions", json=body)


@contextmanager
def gateway_before(
    *backends: str,
    limits: Limits | None = None,
    health_interval: float = 0.2,
    dns_interval: float = 5.0,
    tls: TlsFiles | None = None,
    sse_keep_alive: float = 15.0,
    keys: KeySource | None = None,
    webui: bool = True,
    store: StoreOptions | None = None,
    limits_redis: str | None = None,
    cors_origins: tuple[str, ...] = (),
    **connections: Any,
) -> Iterator[InProcess]:
    """In front of ``backends`` (host:port, or dns:///name:port), which serve the model "m". ``connections``: bounds of
    :func:`gemma4_gateway.server.config_of`."""
    log = LogText()
    settings = Settings(
        backends=backends,
        model_names=("m",),
        health_interval=health_interval,
        dns_interval=dns_interval,
        limits=limits or Limits(),
        tls=tls,
        sse_keep_alive=sse_keep_alive,
        keys=keys or KeySource(),
        webui=webui,
        store=store,
        limits_redis=limits_redis,
        cors_origins=cors_origins,
    )
    gateway = Gateway(settings, log.log)
    listener = claim_socket("127.0.0.1", 0)
    server = uvicorn.Server(config_of(gateway, **connections))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield InProcess(gateway, f"{'https' if tls else 'http'}://127.0.0.1:{port}", log)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
    assert not thread.is_alive()
