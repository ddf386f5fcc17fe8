"""A worker of Dynamo that answers with token ids from a file: ``python scripted_worker.py FOLDER
FILE tokens|text``. The answer number n is asked for by ``max_tokens`` = 1000 + n; less asks for the
first. With ``text`` it is what our engine makes of the ids, and our ``--input text`` of that."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from dynamo.llm import ModelInput, ModelRuntimeConfig, ModelType, WorkerType, register_model
from dynamo.runtime import DistributedRuntime
from gemma4_client import Delta
from gemma4_client.wire import read_delta
from gemma4_dynamo.text_request import read_text
from gemma4_dynamo.token_texts import TokenTexts
from gemma4_runtime.messages import GenerationRequest, SamplingParams
from gemma4_runtime.output.assembler import StreamAssembler
from gemma4_runtime.output.render import pack, render
from gemma4_runtime.output.vocab import load_token_table
from tritonclient.grpc import service_pb2

Handler = Callable[[Any, Any], AsyncIterator[dict[str, Any]]]
FIRST = 1000


def assembler(table: Any) -> StreamAssembler:
    """What turns ids into an answer that has a tool in our engine."""
    request = GenerationRequest(
        key="k", input_ids=[2], sampling=SamplingParams(max_tokens=2000), request_id="r",
        stream=False, channel="content", parse_tools=True, echo="", deadline=None, arrival=0.0,
    )  # fmt: skip
    return StreamAssembler(request, table, prompt_tokens=1)


def deltas(made: StreamAssembler, ids: Sequence[int]) -> list[Delta]:
    """Return the chunks that our SDK reads, one for each token."""
    found = []
    for token in ids:
        made.push([token])
        found.append(made.take())
    made.finish("stop")
    found.append(made.take())
    return [read(pack(render(chunk))) for chunk in found]


def read(packed: bytes) -> Delta:
    """Return what our SDK reads of a response of ``engine``."""
    response = service_pb2.ModelInferResponse()
    response.outputs.add(name="packed")
    response.raw_output_contents.append(packed)
    delta = read_delta(response)
    assert delta is not None
    return delta


def tokens_handler(answers: list[list[int]]) -> Handler:
    async def generate(request: Any, context: Any) -> AsyncIterator[dict[str, Any]]:
        for token in answers[max(request["stop_conditions"]["max_tokens"] - FIRST, 0)]:
            yield {"token_ids": [token], "index": 0}
        yield {"token_ids": [106], "index": 0, "finish_reason": "stop"}

    return generate


def text_handler(answers: list[list[int]], folder: str) -> Handler:
    table = load_token_table(Path(folder) / "tokenizer.json")
    no_texts: Any = TokenTexts.__new__(TokenTexts)  # for log-probs only, which nobody asks for

    async def generate(request: Any, context: Any) -> AsyncIterator[dict[str, Any]]:
        asked = read_text(request)
        asked_for = request.get("max_completion_tokens") or request.get("max_tokens")
        for delta in deltas(assembler(table), answers[max(asked_for - FIRST, 0)]):
            for chunk in await asked.chunks(delta, no_texts):
                yield chunk

    return generate


async def main(folder: str, answers: list[list[int]], form: str) -> None:
    runtime = DistributedRuntime(asyncio.get_running_loop(), "file", "tcp", event_plane="zmq")
    endpoint = runtime.endpoint("dynamo.backend.generate")
    config = ModelRuntimeConfig()
    text = form == "text"
    if not text:
        config.tool_call_parser = config.reasoning_parser = "gemma4"
    await register_model(
        ModelInput.Text if text else ModelInput.Tokens, ModelType.Chat, endpoint, folder,
        "gemma4-demo", worker_type=WorkerType.Aggregated, runtime_config=config,
    )  # fmt: skip
    print('"serving"', flush=True)
    handler = text_handler(answers, folder) if text else tokens_handler(answers)
    await endpoint.serve_endpoint(handler)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]))
