"""One request over several servers, without Dynamo and without servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest
from gemma4_client import CancelledError, Delta, Gemma4Error, InvalidRequestError, UnavailableError
from gemma4_client.request import text_request
from gemma4_dynamo.failures import Failure
from gemma4_dynamo.load import Capacity, Load
from gemma4_dynamo.request import read_request
from gemma4_dynamo.servers import Server, Servers
from gemma4_dynamo.serving import Serving
from gemma4_runtime.error_codes import Code

Script = Sequence[int | Gemma4Error]
"""Token ids, one a chunk, of which 106 is the last; or an error. At the end a stream waits."""

FULL = UnavailableError("full", refused=True, code=Code.QUEUE_FULL)
GONE = UnavailableError("no connection", refused=True)
LOST = UnavailableError("connection lost")
BAD = InvalidRequestError("top_p: 3")


_NOT_OPTIONS = {"prompt_token_ids", "request_id", "timeout"}


class ToldError(Exception):
    """What Dynamo would hear."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.kind = failure.kind


class FakeStream:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    async def __aiter__(self) -> AsyncIterator[Delta]:
        for count, step in enumerate(self._script, 1):
            if isinstance(step, Gemma4Error):
                raise step
            last = "stop" if step == 106 else ""
            yield Delta("", "", [], last, count - 1, 1, count, [step], [], None)
            if last:
                return
            await asyncio.sleep(0)
        await self._cancelled.wait()
        raise CancelledError("cancelled")


class FakeClient:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[dict[str, Any]] = []

    def generate(self, **asked: Any) -> FakeStream:
        self.asked.append(asked)
        options = {k: v for k, v in asked.items() if k not in _NOT_OPTIONS}
        text_request(None, options, prompt_token_ids=asked["prompt_token_ids"])
        return FakeStream(self._script)


class Context:
    def __init__(self) -> None:
        self.stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def id(self) -> str:
        return "request-1"

    def is_stopped(self) -> bool:
        return self.stopped.done() and not self.stopped.cancelled()

    def async_killed_or_stopped(self) -> asyncio.Future[bool]:
        return self.stopped


def serving_of(*scripts: Script) -> tuple[Serving, Sequence[Server]]:
    """A worker whose servers do this; all are ready."""
    servers = Servers([f"127.0.0.1:{n}" for n in range(1, len(scripts) + 1)], interval=1)
    for server, script in zip(servers.all, scripts, strict=True):
        server.client = FakeClient(script)  # type: ignore[assignment]
        server.ready = True
    load = Load(Capacity(slots=4, kv_blocks=None))
    read = partial(read_request, eos_ids=frozenset({106}))
    return Serving(servers, load, ToldError, read, timeout=9), servers.all


async def read(serving: Serving, context: Context, **request: Any) -> list[int]:
    chunks = serving.generate({"token_ids": [2]} | request, context)
    return [token async for chunk in chunks for token in chunk["token_ids"]]


@pytest.mark.parametrize(
    ("scripts", "ids", "ready"),
    [
        ([[5, 106]], [5, 106], [True]),
        ([[FULL], [5, 106]], [5, 106], [True, True]),
        ([[GONE], [5, 106]], [5, 106], [False, True]),
    ],
)
def test_a_server_that_did_not_begin_is_passed_over(
    scripts: list[Script], ids: list[int], ready: list[bool]
) -> None:
    async def run() -> None:
        serving, servers = serving_of(*scripts)
        assert await read(serving, Context()) == ids
        assert [server.ready for server in servers] == ready
        assert serving.idle.is_set() and not any(server.running for server in servers)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("scripts", "kind", "asked"),
    [
        ([[FULL], [FULL]], "Disconnected", [1, 1]),
        ([[GONE], [GONE]], "EngineShutdown", [1, 1]),
        ([[5, LOST], [5, 106]], "Disconnected", [1, 0]),
        ([[5, LOST]], "EngineShutdown", [1]),
        ([[LOST], [5, 106]], "Disconnected", [1, 0]),
        ([[BAD], [5, 106]], "InvalidArgument", [1, 0]),
    ],
)
def test_what_dynamo_hears(scripts: list[Script], kind: str, asked: list[int]) -> None:
    async def run() -> None:
        serving, servers = serving_of(*scripts)
        with pytest.raises(ToldError) as found:
            await read(serving, Context())
        assert found.value.kind == kind
        assert [len(server.client.asked) for server in servers] == asked  # type: ignore[attr-defined]
        assert serving.idle.is_set()

    asyncio.run(run())


def test_an_option_is_refused_before_a_server_is_asked() -> None:
    async def run() -> None:
        serving, servers = serving_of([5, 106])
        with pytest.raises(ToldError, match="new_option: 1 is not supported") as found:
            await read(serving, Context(), new_option=1)
        assert found.value.kind == "InvalidArgument"
        assert not servers[0].client.asked  # type: ignore[attr-defined]
        with pytest.raises(ToldError, match=r"top_p.*"):
            await read(serving, Context(), sampling_options={"top_p": "x"})

    asyncio.run(run())


def test_an_answer_that_lacks_only_its_end_is_ended() -> None:
    """Its worker died after the last token: Dynamo lowers ``max_tokens`` by the tokens that came,
    also when no server is ready."""

    async def run() -> None:
        serving, servers = serving_of([5, 106])
        servers[0].ready = False
        chunks = serving.generate(
            {"token_ids": [2, 5, 6], "stop_conditions": {"max_tokens": 0, "min_tokens": 2}},
            Context(),
        )
        usage = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
        end = {"token_ids": [], "index": 0, "finish_reason": "length", "completion_usage": usage}
        assert [chunk async for chunk in chunks] == [end]
        assert not servers[0].client.asked and serving.idle.is_set()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_without_a_ready_server() -> None:
    async def run() -> None:
        serving, servers = serving_of([5, 106])
        servers[0].ready = False
        with pytest.raises(ToldError, match="no Triton server of this worker is ready") as found:
            await read(serving, Context())
        assert found.value.kind == "EngineShutdown"

    asyncio.run(run())


def test_a_client_that_leaves_ends_the_stream() -> None:
    async def run() -> None:
        serving, servers = serving_of([5])
        context = Context()
        chunks = serving.generate({"token_ids": [2]}, context)
        assert (await anext(chunks))["token_ids"] == [5]
        context.stopped.set_result(True)
        assert await anext(chunks) == {"token_ids": [], "index": 0, "finish_reason": "cancelled"}
        with pytest.raises(StopAsyncIteration):
            await anext(chunks)
        assert serving.idle.is_set() and servers[0].running == 0

    asyncio.run(run())


def test_a_generator_that_is_closed_ends_the_stream() -> None:
    async def run() -> None:
        serving, servers = serving_of([5])
        chunks = serving.generate({"token_ids": [2]}, Context())
        await anext(chunks)
        await chunks.aclose()
        assert serving.idle.is_set() and servers[0].running == 0

    asyncio.run(run())


def test_a_worker_that_stops_gives_its_answers_away() -> None:
    async def run() -> None:
        serving, _ = serving_of([5])
        chunks = serving.generate({"token_ids": [2]}, Context())
        await anext(chunks)
        assert serving.end_all() == 1
        with pytest.raises(ToldError, match="the worker stopped") as found:
            await anext(chunks)
        assert found.value.kind == "EngineShutdown"
        with pytest.raises(ToldError, match="the worker stopped"):
            await read(serving, Context())

    asyncio.run(run())


def test_the_server_with_the_fewest_requests_is_next() -> None:
    async def run() -> None:
        serving, servers = serving_of([5], [5])
        open_chunks = [serving.generate({"token_ids": [2]}, Context()) for _ in range(4)]
        for chunks in open_chunks:
            await anext(chunks)
        assert [server.running for server in servers] == [2, 2]
        for chunks in open_chunks:
            await chunks.aclose()

    asyncio.run(run())
