"""Asks a real server by what runs on this Python: the SDK's clients, `gemma4 chat`, the gateway and
`gemma4 load`. `make test-pythons` does it on each. Ports are in GEMMA4_GRPC and GEMMA4_HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pexpect
from gemma4_client import AsyncClient, Client

HOST = "127.0.0.1"
GRPC, HTTP = f"{HOST}:{os.environ['GEMMA4_GRPC']}", f"http://{HOST}:{os.environ['GEMMA4_HTTP']}"
GEMMA4 = (sys.executable, "-m", "gemma4_cli")
QUESTION = "What is the capital of France?"
ANSWER = "Paris"
WAIT_S = 240
"""Seconds after which a step hangs."""


def clients() -> None:
    """Both clients on both protocols: a whole answer, a stream, and streams at once."""
    for url in (GRPC, HTTP):
        with Client(url) as client:
            assert ANSWER in client.chat(QUESTION, temperature=0).result().text
            pieces = [delta.text for delta in client.chat(QUESTION, temperature=0)]
            assert ANSWER in "".join(pieces) and len(pieces) > 1, pieces
        asyncio.run(asyncio.wait_for(at_once(url), WAIT_S))


async def at_once(url: str) -> None:
    async with AsyncClient(url) as client:
        streams = [client.chat(QUESTION, temperature=0) for _ in range(16)]  # by a feed on gRPC
        answers = await asyncio.gather(*(stream.result() for stream in streams))
    assert all(ANSWER in answer.text for answer in answers)


def chat() -> None:
    """In a pipe, and in a terminal."""
    for url in (GRPC, HTTP):
        told = subprocess.run(
            [*GEMMA4, "chat", "--url", url, "--temperature", "0", "--once", QUESTION],
            capture_output=True, text=True, timeout=WAIT_S, check=True,
        )  # fmt: skip
        assert ANSWER in told.stdout, told
    with tempfile.TemporaryDirectory() as home:
        terminal = pexpect.spawn(
            GEMMA4[0], [*GEMMA4[1:], "chat", "--url", GRPC, "--temperature", "0"],
            encoding="utf-8", timeout=WAIT_S, dimensions=(24, 80),
            env=os.environ | {"HOME": home, "XDG_STATE_HOME": home, "TERM": "xterm"},
        )  # fmt: skip
        terminal.expect(re.escape("\x1b[?25h"))  # a prompt was drawn
        terminal.sendline(QUESTION)
        terminal.expect(ANSWER)
        terminal.expect("tokens.*first after")
        terminal.sendline("/quit")
        terminal.expect(pexpect.EOF)
        terminal.wait()
        assert terminal.exitstatus == 0


@contextmanager
def gateway() -> Iterator[str]:
    """Start a gateway before the server. Yields its URL."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*GEMMA4, "gateway", "--port", "0", "--backend", GRPC],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            banner = ""
            while "Ctrl-C stops" not in banner:
                line = process.stdout.readline()
                assert line, banner
                banner += line
            found = re.search(r"OpenAI base URL +(\S+)/v1", banner)
            assert found and "is ready" in banner, banner
            yield found[1]
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        text = log.read()
        assert "Traceback" not in text, text


def by_gateway(url: str) -> None:
    """OpenAI's and Anthropic's packages: chat, stream, responses, messages."""
    ask: Any = [{"role": "user", "content": QUESTION}]
    api = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=WAIT_S)
    model = api.models.list().data[0].id
    whole = api.chat.completions.create(model=model, messages=ask, temperature=0)
    assert ANSWER in (whole.choices[0].message.content or "")
    with api.chat.completions.stream(model=model, messages=ask, temperature=0) as stream:
        assert ANSWER in (stream.get_final_completion().choices[0].message.content or "")
    assert ANSWER in api.responses.create(model=model, input=QUESTION, temperature=0).output_text
    other = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0, timeout=WAIT_S)
    with other.messages.stream(model=model, messages=ask, max_tokens=100) as events:
        assert ANSWER in events.get_final_text()


def load(*urls: str) -> None:
    """Four requests at once by each protocol, and figures that are valid."""
    for url in urls:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "results"
            ran = subprocess.run(
                [*GEMMA4, "load", "--url", url, "--concurrency", "4", "--requests", "12",
                 "--warmup", "0", "--output-tokens", "8", "--max-client-lag", "10000",
                 "--out", str(out)],
                capture_output=True, text=True, timeout=WAIT_S, check=False,
            )  # fmt: skip
            assert ran.returncode == 0, ran.stdout + ran.stderr
            (level,) = json.loads((out / "report.json").read_text(encoding="utf-8"))["levels"]
            assert level["valid"] and level["counts"]["failed"] == 0, level["counts"]
            assert (out / "report.html").stat().st_size > 10_000


def main() -> None:
    clients()
    print("clients: good", flush=True)
    chat()
    print("gemma4 chat: good", flush=True)
    with gateway() as url:
        by_gateway(url)
        print("gemma4 gateway: good", flush=True)
        load(GRPC, HTTP, f"{url}/v1")
    print("gemma4 load: good", flush=True)


if __name__ == "__main__":
    main()
