"""Chunks of one answer of the gateway, for host_load.py."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from itertools import accumulate, cycle, islice

import orjson

__all__ = ["gateway_chunks"]


async def gateway_chunks(
    address: str, model: str, prompt: str, tokens: int, lengths: Sequence[int]
) -> AsyncIterator[tuple[int, int]]:
    """Give index and tokens of each server-sent event with text. An event does not say how many
    tokens it holds, but the text of the synthetic engine is known: ``lengths`` are the bytes of its
    tokens, over and over. Raises :class:`RuntimeError` for another answer than ``tokens`` of
    these."""
    host, _, port = address.partition(":")
    body = orjson.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"{status!r}: {(await reader.read())[-300:]!r}")
        ends = list(accumulate(islice(cycle(lengths), tokens)))
        got = index = counted = 0
        usage = None
        async for line in reader:
            if not line.startswith(b"data: {"):
                continue
            event = orjson.loads(line[6:])
            usage = event.get("usage") or usage
            text = event["choices"][0]["delta"].get("content") if event["choices"] else None
            if not text:
                continue
            got += len(text.encode())
            total = bisect_right(ends, got)
            yield index, total - counted
            index, counted = index + 1, total
        if usage is None or usage["completion_tokens"] != tokens or got != ends[-1]:
            raise RuntimeError(f"not whole: {got} of {ends[-1]} bytes, usage {usage}")
    finally:
        writer.close()
