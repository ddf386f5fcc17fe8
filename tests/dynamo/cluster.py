"""Dynamo's frontend, workers and Triton servers, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openai
from gemma4_serve.ports import free_port
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

LOGS = Path(__file__).parents[2] / "out" / "dynamo"
START_S = 180
MODEL = "gemma4-demo"


class Process:
    """One of Dynamo's; ``name`` is that of its log."""

    def __init__(
        self, name: str, discovery: Path, module: str, *args: str, script: Path | None = None
    ) -> None:
        """Run ``module``, or the file ``script``."""
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{name}.log"
        env = os.environ | {
            "DYN_FILE_KV": str(discovery), "DYN_LOG": "warn", "DYN_DISCOVERY_BACKEND": "file",
            "DYN_REQUEST_PLANE": "tcp", "DYN_EVENT_PLANE": "zmq",
        }  # fmt: skip
        what = ["-m", module] if script is None else [str(script)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *what, *args], stdout=log, stderr=log, env=env
            )

    def wait_for(self, text: str) -> None:
        def told() -> bool:
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            return text in self.log.read_text()

        wait_until(told, START_S, f"{self.log}: {text}", every=0.1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Worker(Process):
    """In front of ``servers``. ``start`` numbers the workers of a place, so that each has a log."""

    def __init__(
        self, name: str, discovery: Path, engine: Path, servers: Sequence[Served], *args: str
    ) -> None:
        (LOGS / f"{name}.log").unlink(missing_ok=True)
        addresses = [f"--server=127.0.0.1:{server.grpc}" for server in servers]
        super().__init__(
            name, discovery, "gemma4_cli", "dynamo-worker", "--engine", str(engine),
            "--discovery-backend", "file", "--health-interval", "0.2",
            "--card-folder", str(discovery.with_name("cards")), *addresses, *args,
        )  # fmt: skip
        self.wait_for('"serving"')


class Frontend(Process):
    """Dynamo's, with its router."""

    def __init__(self, name: str, discovery: Path, *args: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (LOGS / f"{name}.log").unlink(missing_ok=True)
        super().__init__(
            name, discovery, "dynamo.frontend", "--http-host", "127.0.0.1",
            "--http-port", str(self.port), "--discovery-backend", "file",
            "--request-plane", "tcp", "--event-plane", "zmq", *args,
        )  # fmt: skip

    def wait_for_workers(self, count: int) -> None:
        """Until a chat is answered, and the health page names so many instances."""
        wait_until(lambda: self._instances() == count, START_S, f"{count} workers", every=0.1)
        wait_until(self._answers, START_S, "an answer", every=0.2)

    def _answers(self) -> bool:
        try:
            ask(self.client(), max_tokens=1)
        except openai.APIError:
            return False
        return True

    def _instances(self) -> int:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as reply:
                found = json.load(reply).get("instances", [])
        except OSError:
            return -1
        return sum(each.get("endpoint") == "generate" for each in found)

    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, timeout=400)


def ask(client: openai.OpenAI, text: str = "Hello, who are you?", **options: Any) -> str:
    """The text of a greedy answer."""
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], temperature=0, **options
    )
    return answer.choices[0].message.content or ""


def tool_calls(found: Any, *, stream: bool) -> tuple[list[Any], str]:
    """The calls of an answer, and why it ended."""
    if not stream:
        return found.choices[0].message.tool_calls, found.choices[0].finish_reason
    deltas = [chunk.choices[0] for chunk in found if chunk.choices]
    calls = [call for delta in deltas for call in delta.delta.tool_calls or []]
    return calls, next(delta.finish_reason for delta in deltas if delta.finish_reason)


def long(tokens: int) -> dict[str, Any]:
    """Options of an answer that has exactly so many tokens."""
    return {"max_tokens": tokens, "extra_body": {"min_tokens": tokens}}


def streamed(client: openai.OpenAI, text: str, **options: Any) -> str:
    """The text of a greedy streamed answer, which has to end with a finish reason."""
    parts, reason = [], None
    with client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": text}], temperature=0, stream=True,
        **options,
    ) as stream:  # fmt: skip
        for chunk in stream:
            for choice in chunk.choices:
                parts.append(choice.delta.content or "")
                reason = choice.finish_reason or reason
    assert reason is not None, "the stream ended without a reason"
    return "".join(parts)


def seconds_since(start: float) -> float:
    return time.monotonic() - start
