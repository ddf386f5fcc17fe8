"""A real `gemma4 gateway` process for tests."""

from __future__ import annotations

from typing import Any

import httpx

from gemma4_testing.servers.command import GEMMA4, Command

__all__ = ["GEMMA4", "LONG", "MODEL", "RunningGateway", "chat"]

MODEL = "gemma-4-demo"


class RunningGateway(Command):
    """Started on a free port, before Triton servers with these gRPC ports. ``names`` of the model;
    none: the engine's own. ``log``: the file that standard error goes to, else ``output``."""

    stop_s = 45

    def __init__(
        self,
        *backends: int,
        args: tuple[str, ...] = (),
        names: tuple[str, ...] = (MODEL,),
        env: dict[str, str] | None = None,
        log: str | None = None,
    ) -> None:
        addresses = [f"--backend=127.0.0.1:{port}" for port in backends]
        served = [f"--served-model-name={name}" for name in names]
        super().__init__("gateway", "--port", "0", *served, *addresses, *args, env=env, stderr=log)
        self.port = self.banner_port("URL")
        scheme = "https" if "--ssl-certfile" in args else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def http(self, **options: Any) -> httpx.Client:
        # verify=False: no certificates are loaded, which takes longer than an answer.
        return httpx.Client(base_url=self.url, timeout=60, verify=False, **options)


def chat(text: str = "What is the capital of France?", **more: Any) -> dict[str, Any]:
    """Body of a greedy chat completion."""
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "temperature": 0, **more}


LONG = {"min_tokens": 1900, "max_tokens": 1900}
