"""Many short requests to a gateway: a third is read to the end, a third is left after its first
event, a third is not streamed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import psutil


@dataclass
class Footprint:
    """Of one process: bytes, and counts."""

    rss: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        process = psutil.Process(pid)
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())


async def _one(port: int, model: str, i: int, tokens: int) -> None:
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": f"number {i}"}],
            "max_tokens": tokens,
            "stream": i % 3 < 2,
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )
    try:
        if i % 3 == 1:
            await reader.readuntil(b'"role":"assistant"')
            return
        data = await reader.read()
        assert data.startswith(b"HTTP/1.1 200"), data[:500]
        assert (b"[DONE]" if i % 3 == 0 else b'"finish_reason":"length"') in data, data[-300:]
    finally:
        writer.close()


async def churn(port: int, model: str, count: int, *, running: int, tokens: int) -> None:
    """``count`` requests, ``running`` of them at once."""
    order = iter(range(count))

    async def worker() -> None:
        for i in order:
            await _one(port, model, i, tokens)

    await asyncio.gather(*(worker() for _ in range(running)))
