"""Sends the requests on standard input (a JSON list) to a worker's endpoint, one after the other,
and prints what came of each: its chunks, or the text of its error."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop
from dynamo.runtime import DistributedRuntime


async def ask(client: Any, request: Any) -> list[Any] | str:
    chunks: list[Any] = []
    try:
        async for chunk in await client.round_robin(request):
            if chunk.is_error():
                return " ".join(chunk.comments() or ["an error"])
            chunks.append(chunk.data())
    except Exception as error:  # noqa: BLE001 - Dynamo's library raises no kind of its own
        return f"{type(error).__name__}: {error}"
    return chunks


async def main(requests: list[Any]) -> None:
    runtime = DistributedRuntime(asyncio.get_running_loop(), "file", "tcp", event_plane="zmq")
    client = await runtime.endpoint("dynamo.backend.generate").client()
    await client.wait_for_instances()
    found = [await ask(client, request) for request in requests]
    print(json.dumps(found), flush=True)
    runtime.shutdown()


if __name__ == "__main__":
    uvloop.run(main(json.load(sys.stdin)))
