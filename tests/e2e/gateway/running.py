"""A real `gemma4 gateway` process for tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import httpx
from e2e.served import wait_until

MODEL = "gemma-4-demo"
GEMMA4 = Path(sys.executable).with_name("gemma4")


class RunningGateway:
    """Started on a free port; ``output`` is everything it printed."""

    def __init__(
        self, *backends: int, args: tuple[str, ...] = (), env: dict[str, str] | None = None
    ):
        self.output: list[str] = []
        addresses = [f"--backend=127.0.0.1:{port}" for port in backends]
        self.process = subprocess.Popen(
            [GEMMA4, "gateway", "--port", "0", "--served-model-name", MODEL, *addresses, *args],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | (env or {}),
        )  # fmt: skip
        Thread(target=self._read, daemon=True).start()
        self.wait_for("Ctrl-C stops")
        self.port = int(re.search(r"URL +http://[\d.]+:(\d+)", self.text)[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output.append(line)

    @property
    def text(self) -> str:
        return "".join(self.output)

    def wait_for(self, text: str, *, times: int = 1, timeout: float = 20) -> None:
        wait_until(
            lambda: self.text.count(text) >= times or self.process.poll() is not None, timeout
        )
        assert self.text.count(text) >= times, self.text[-3000:]

    def http(self, **options) -> httpx.Client:
        # verify=False: no certificates are loaded, which takes longer than an answer.
        return httpx.Client(base_url=self.url, timeout=60, verify=False, **options)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(45)


def chat(text: str = "What is the capital of France?", **more) -> dict:
    """Body of a greedy chat completion."""
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, "temperature": 0, **more}


LONG = {"min_tokens": 1900, "max_tokens": 1900}
