"""Streams that share a feed, on a real server: the guarantees hold as for streams
of their own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from gemma4_client import AsyncClient, CancelledError, Gemma4Error
from gemma4_client.wire import build_poll, build_request, read_bundle
from gemma4_runtime.errors import Status, parse_wire
from gemma4_runtime.server.board import Field
from gemma4_testing.event_loop import in_loop
from gemma4_testing.servers.process_tree import find_process
from gemma4_testing.servers.served import Served, user
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2_grpc
from tritonclient.grpc.service_pb2 import ModelInferRequest
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

CANCEL_S = 0.5
KEY = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def synthetic(engines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(engines / "synthetic", tmp_path_factory.mktemp("run"))
    yield served
    assert served.stop() == 0, "".join(served.output[-30:])


def client_of(served: Served) -> AsyncClient:
    return AsyncClient(f"127.0.0.1:{served.grpc}", retry=None, breaker=None)


def feed_of(client: AsyncClient) -> Any:
    return client._connection._transport._feed  # type: ignore[union-attr]


async def running(
    client: AsyncClient, count: int, **options: Any
) -> tuple[list[Any], list[AsyncIterator[Any]]]:
    """Streams that have begun, most of them by a feed."""
    streams = [client.chat(user("one two three four"), **options) for _ in range(count)]
    parts = [aiter(stream) for stream in streams]
    for part in parts:
        await anext(part)
    assert feed_of(client) is not None and not feed_of(client).over
    return streams, parts


async def until(true: Callable[[], object], seconds: float) -> None:
    await asyncio.to_thread(wait_until, true, seconds)


@in_loop
async def test_the_answers_are_those_of_streams_of_their_own(server: Served) -> None:
    asks = [f"What is the capital of {land}?" for land in ("France", "Italy", "Spain", "Japan")] * 8
    options: dict[str, Any] = {"top_k": 1, "enable_thinking": True, "return_log_probs": True}
    async with client_of(server) as client:
        alone = {ask: await client.chat(user(ask), **options).result() for ask in set(asks)}
        assert feed_of(client) is None
        streams = [client.chat(user(ask), **options) for ask in asks]
        answers = await asyncio.gather(*(stream.result() for stream in streams))
        assert feed_of(client) is not None
    for ask, answer in zip(asks, answers, strict=True):
        expected = alone[ask]
        assert (answer.text, answer.reasoning) == (expected.text, expected.reasoning)
        assert (answer.ids, answer.usage) == (expected.ids, expected.usage)
        assert answer.finish_reason == expected.finish_reason
        assert len(answer.log_probs) == len(answer.ids)
        assert answer.timings.keys() >= {"queue", "prefill", "decode", "ttft", "total"}


@in_loop
async def test_order_and_completeness_of_many(synthetic: Served) -> None:
    async with client_of(synthetic) as client:
        streams = [client.generate("a b c", max_tokens=100 + n) for n in range(60)]
        answers = await asyncio.gather(*(stream.result() for stream in streams))
        assert feed_of(client) is not None
    assert [answer.completion_tokens for answer in answers] == [100 + n for n in range(60)]
    assert all(len(answer.ids) == answer.completion_tokens for answer in answers)


@in_loop
async def test_cancel_frees_one_slot(synthetic: Served) -> None:
    async with client_of(synthetic) as client:
        streams, parts = await running(client, 16, max_tokens=3000)
        await until(lambda: synthetic.board()[Field.ACTIVE] == 16, 5)
        streams[-1].cancel()
        await until(lambda: synthetic.board()[Field.ACTIVE] == 15, CANCEL_S)
        with pytest.raises(CancelledError):
            while True:
                await anext(parts[-1])
        await anext(parts[-2])
        for stream in streams:
            stream.cancel()
        await until(synthetic.idle, CANCEL_S)


def test_a_killed_client_frees_all_slots(synthetic: Served) -> None:
    code = (
        "import asyncio, sys; from gemma4_client import AsyncClient\n"
        "async def main():\n"
        "    client = AsyncClient(sys.argv[1])\n"
        "    parts = [aiter(client.generate('x', max_tokens=3000)) for _ in range(20)]\n"
        "    for part in parts: await anext(part)\n"
        "    print('x', flush=True)\n"
        "    await asyncio.gather(*(anext(part) for part in parts for _ in range(1)))\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, f"127.0.0.1:{synthetic.grpc}"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.read(1) == b"x"
    wait_until(lambda: synthetic.board()[Field.ACTIVE] == 20, 1)
    child.kill()
    wait_until(synthetic.idle, CANCEL_S)
    child.wait()


LOOPS = """
import asyncio, sys
from gemma4_client import AsyncClient

async def main():
    client = AsyncClient(sys.argv[1])
    answers = (client.generate("x", max_tokens=10).result() for _ in range(24))
    await asyncio.gather(*answers)
    if sys.argv[2] == "closed":
        await client.close()

for _ in range(20):
    asyncio.run(asyncio.wait_for(main(), 20))
"""


@pytest.mark.parametrize("client", ["closed", "forgotten"])
def test_nothing_is_left_for_the_next_loop(synthetic: Served, client: str) -> None:
    """An event of a loop that is closed would be an error in the next one, and stop its others."""
    ran = subprocess.run(
        [sys.executable, "-c", LOOPS, f"127.0.0.1:{synthetic.grpc}", client],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")


@in_loop
async def test_the_server_keeps_nothing_of_what_it_sent(synthetic: Served) -> None:
    """Triton keeps each response of a stream until that ends, 1.2 KB each: 58 MB here, without a
    feed."""
    triton = find_process(synthetic.process.pid, lambda p: p.name() == "tritonserver")
    async with client_of(synthetic) as client:
        _, parts = await running(client, 60, max_tokens=810)
        before = triton.memory_info().rss
        for part in parts:
            while (await anext(part)).completion_tokens < 790:
                pass
        assert triton.memory_info().rss - before < 12e6
        for part in parts:
            async for _ in part:
                pass


@in_loop
async def test_a_deadline_ends_one_stream(synthetic: Served) -> None:
    async with client_of(synthetic) as client:
        streams, _ = await running(client, 12, max_tokens=3000)
        with pytest.raises(Gemma4Error, match="timeout_ms"):
            await client.generate("x", max_tokens=3000, timeout_ms=200).result()
        await until(lambda: synthetic.board()[Field.ACTIVE] == 12, CANCEL_S)
        for stream in streams:
            stream.cancel()
        await until(synthetic.idle, CANCEL_S)


@in_loop
async def test_a_refusal_is_told(synthetic: Served) -> None:
    async with client_of(synthetic) as client:
        streams, _ = await running(client, 12, max_tokens=3000)
        with pytest.raises(Gemma4Error, match="max_tokens"):
            await client.generate("x", max_tokens=10**6).result()
        for stream in streams:
            stream.cancel()
        await until(synthetic.idle, CANCEL_S)


@in_loop
async def test_a_drain_lets_streams_end(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    async with client_of(served) as client:
        streams, parts = await running(client, 16, max_tokens=150)
        served.process.send_signal(signal.SIGTERM)
        for part in parts:
            async for _ in part:
                pass
        assert {stream.answer.completion_tokens for stream in streams} == {150}
        assert await asyncio.to_thread(served.process.wait, 15) == 0


@in_loop
async def test_a_killed_engine_ends_all_streams(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    async with client_of(served) as client:
        _, parts = await running(client, 16, max_tokens=3000)
        os.kill(served.board()[Field.ENGINE_PID], signal.SIGKILL)

        async def rest(part: AsyncIterator[Any]) -> None:
            async for _ in part:
                pass

        ends = await asyncio.wait_for(
            asyncio.gather(*(rest(part) for part in parts), return_exceptions=True), 3
        )
        assert all(isinstance(end, Gemma4Error) for end in ends)
        await asyncio.to_thread(served.wait_for, "Ctrl-C stops", times=2)
        answers = await asyncio.gather(*(client.generate("x", max_tokens=3).result() for _ in range(16)))  # fmt: skip
        assert {answer.completion_tokens for answer in answers} == {3}
    assert served.stop() == 0


@pytest.fixture
def stub(synthetic: Served) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{synthetic.grpc}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def asked(feed: str) -> ModelInferRequest:
    """As a client that is not ours."""
    return build_request({"text_input": "a b c", "max_tokens": 40, "stream": True}, feed=feed)


def test_by_hand(stub: GRPCInferenceServiceStub, synthetic: Served) -> None:
    """One poll with five responses, then another: 40 chunks by the feed, and by the stream itself
    its end."""
    polls = stub.ModelStreamInfer(iter([build_poll(KEY, 5), build_poll(KEY, 60)]), timeout=30)
    own = list(stub.ModelStreamInfer(iter([asked(f"{KEY}/7")]), timeout=30))
    assert [len(message.infer_response.outputs) for message in own] == [0]
    bundles, finals = [], []
    for message in polls:
        bundles.append(read_bundle(message.infer_response))
        finals.append(message.infer_response.parameters["triton_final_response"].bool_param)
        if bundles[-1][-1][1].finish_reason:
            break
    polls.cancel()
    assert {number for bundle in bundles for number, _ in bundle} == {7}
    deltas = [delta for bundle in bundles for _, delta in bundle]
    assert [delta.index for delta in deltas] == list(range(len(deltas)))
    assert sum(len(delta.ids) for delta in deltas) == 40
    assert finals[:6] == [False] * 4 + [True, False]


def test_without_polls_the_stream_has_it_all(stub: GRPCInferenceServiceStub) -> None:
    own = list(stub.ModelStreamInfer(iter([asked(f"{'f' * 32}/7")]), timeout=30))
    ids = [i for m in own if m.infer_response.outputs
           for i in json.loads(m.infer_response.raw_output_contents[0]).get("output_ids", [])]  # fmt: skip
    assert len(ids) == 40


@pytest.mark.parametrize(
    ("request_of", "says"),
    [
        (lambda: build_poll("guess", 1), "feed: 'guess/1' must be 32 to 64 random hex"),
        (lambda: build_poll(KEY, 0), "feed: 0 responses must be 1 to 64"),
        (lambda: asked("guess/1"), "gemma4_feed: 'guess/1' must be 32 to 64 random hex"),
        (lambda: asked(KEY), f"gemma4_feed: '{KEY}' must be"),
    ],
)
def test_wrong_keys(
    stub: GRPCInferenceServiceStub, synthetic: Served, request_of: Callable[..., Any], says: str
) -> None:
    (message,) = stub.ModelStreamInfer(iter([request_of()]), timeout=30)
    error = parse_wire(message.error_message)
    assert error is not None
    assert error.status is Status.INVALID_ARGUMENT and error.message.startswith(says)
    wait_until(synthetic.idle, 1)
