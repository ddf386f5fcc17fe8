"""A worker of Dynamo that answers with token ids from a file: ``python scripted_worker.py FOLDER
FILE``. The answer number n is asked for by ``max_tokens`` = 1000 + n; less asks for the first."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime


async def main(folder: str, answers: list[list[int]]) -> None:
    runtime = DistributedRuntime(asyncio.get_running_loop(), "file", "tcp", event_plane="zmq")
    endpoint = runtime.endpoint("dynamo.backend.generate")
    config = ModelRuntimeConfig()
    config.tool_call_parser = config.reasoning_parser = "gemma4"
    await register_model(
        ModelInput.Tokens, ModelType.Chat, endpoint, folder, "gemma4-demo",
        worker_type=WorkerType.Aggregated, runtime_config=config,
    )  # fmt: skip

    async def generate(request: Any, context: Any) -> AsyncIterator[dict[str, Any]]:
        for token in answers[max(request["stop_conditions"]["max_tokens"] - 1000, 0)]:
            yield {"token_ids": [token], "index": 0}
        yield {"token_ids": [106], "index": 0, "finish_reason": "stop"}

    print('"serving"', flush=True)
    await endpoint.serve_endpoint(generate)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
