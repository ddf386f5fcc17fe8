"""Dynamo's frontend over our worker, for bench/host.py: two processes in front of one Triton."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from gemma4_serve.ports import free_port
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.running_gateway import MODEL
from gemma4_testing.waiting import wait_until

__all__ = ["RunningDynamo"]

START_S = 180
QUESTION = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 1,
}


class RunningDynamo:
    """``python`` is that of an environment with Dynamo (``make test-dynamo`` makes one), ``grpc``
    the port of a Triton with the engine of the folder ``engine``. ``port`` takes requests when the
    constructor returns. Discovery is in ``scratch``, so that there is neither etcd nor NATS."""

    def __init__(self, python: Path, grpc: int, engine: Path, scratch: Path) -> None:
        env = {
            "DYN_FILE_KV": str(scratch / "discovery"), "DYN_LOG": "error",
            "DYN_DISCOVERY_BACKEND": "file", "DYN_REQUEST_PLANE": "tcp", "DYN_EVENT_PLANE": "zmq",
        }  # fmt: skip
        self.port = free_port()
        self.worker = Command(
            "-m", "gemma4_cli", "dynamo-worker", "--engine", str(engine),
            "--server", f"127.0.0.1:{grpc}", "--served-model-name", MODEL,
            "--card-folder", str(scratch / "cards"), program=python, env=env, until='"serving"',
        )  # fmt: skip
        self.frontend = Command(
            "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(self.port),
            program=python, env=env, until="",
        )  # fmt: skip
        wait_until(self._answers, START_S, "an answer of Dynamo's frontend", every=0.2)

    @property
    def commands(self) -> list[Command]:
        return [self.frontend, self.worker]

    def _answers(self) -> bool:
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        request = urllib.request.Request(
            url, json.dumps(QUESTION).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                return bool(json.load(reply)["choices"])
        except OSError:
            return False

    def stop(self) -> None:
        """End both."""
        self.frontend.stop()
        self.worker.stop()
