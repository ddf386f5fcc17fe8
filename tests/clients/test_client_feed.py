"""The asyncio client's feed against a server that does what a test says."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from gemma4_client import (
    AsyncClient,
    CancelledError,
    DeadlineExceededError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client.transport import grpc_feed, grpc_feeding
from gemma4_testing.event_loop import in_loop
from gemma4_testing.fakes.fake_triton import chunk, message
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.grpc.service_pb2 import ModelInferRequest, ModelStreamInferResponse

ALONE = grpc_feeding._FEED_FROM  # streams that take no feed


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """Answers of four chunks. Requests that name a feed get them by it, those with an odd number
    only the first two and the others themselves; requests that do not hang until ``go``."""

    def __init__(self, feed: str) -> None:
        self.how = feed
        self.go, self.feed_gone = threading.Event(), threading.Event()
        self.polls: list[Any] = []
        self.places: list[str] = []
        self.gone: list[str] = []
        self.bundles: Any = SimpleQueue()

    def ModelStreamInfer(  # noqa: N802
        self, requests: Iterator[ModelInferRequest], context: grpc.ServicerContext
    ) -> Iterator[ModelStreamInferResponse]:
        first = next(requests)
        if first.inputs[0].name == "feed":
            yield from self._feed(first, requests, context)
        elif "gemma4_feed" in first.parameters:
            yield from self._fed(first.parameters["gemma4_feed"].string_param, context)
        else:
            self.go.wait(30)
            yield from (message(chunk(i, "stop" if i == 3 else "")) for i in range(4))

    def _feed(
        self,
        first: ModelInferRequest,
        requests: Iterator[ModelInferRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[ModelStreamInferResponse]:
        if self.how == "refuse":
            yield service_pb2.ModelStreamInferResponse(error_message="unexpected input 'feed'")
            return
        context.add_callback(self.feed_gone.set)
        self._poll(first)
        threading.Thread(target=self._polls, args=(requests,), daemon=True).start()
        while (bundle := self.bundles.get()) is not None:
            yield bundle_of(bundle)
        if self.how == "break":
            context.abort(grpc.StatusCode.UNAVAILABLE, "said the test")

    def _polls(self, requests: Iterator[ModelInferRequest]) -> None:
        try:
            for poll in requests:
                self._poll(poll)
        except grpc.RpcError:
            pass
        self.bundles.put(None)

    def _poll(self, request: ModelInferRequest) -> None:
        self.polls.append(request.raw_input_contents[0][4:].decode())

    def _fed(self, place: str, context: grpc.ServicerContext) -> Iterator[ModelStreamInferResponse]:
        self.places.append(place)
        context.add_callback(lambda: self.gone.append(place))
        number = int(place.split("/")[1])
        if self.how in ("refuse", "break"):
            if self.how == "break":
                self.bundles.put([[number, chunk(0)]])
                self.bundles.put(None)
                self.feed_gone.wait(10)
            start = 1 if self.how == "break" and number == 0 else 0
            yield from (message(chunk(i, "stop" if i == 3 else "")) for i in range(start, 4))
        elif self.how == "hang":
            self.bundles.put([[number, chunk(0)]])
            self.go.wait(30)
        elif self.how == "end":
            self.bundles.put([[number, chunk(0)]])
            self.bundles.put([])
        else:
            yield from self._both(number)

    def _both(self, number: int) -> Iterator[ModelStreamInferResponse]:
        own = range(2, 4) if number % 2 else ()
        by_feed = [chunk(i, "stop" if i == 3 else "") for i in range(4) if i not in own]
        for outputs in by_feed:
            self.bundles.put([[number, outputs], [10**6, outputs]])  # one that nobody has
        for index in own:
            yield message(chunk(index, "stop" if index == 3 else ""))


def bundle_of(bundle: list[list[Any]]) -> ModelStreamInferResponse:
    made = service_pb2.ModelStreamInferResponse()
    made.infer_response.outputs.add(name="packed", datatype="UINT8")
    made.infer_response.raw_output_contents.append(json.dumps(bundle).encode())
    return made


@contextmanager
def serving(feed: str = "both") -> Iterator[tuple[Server, str]]:
    servicer = Server(feed)
    server = grpc.server(ThreadPoolExecutor(64))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield servicer, f"127.0.0.1:{port}"
    finally:
        servicer.go.set()
        servicer.bundles.put(None)
        server.stop(None).wait()


def client_of(url: str) -> AsyncClient:
    return AsyncClient(url, retry=None, breaker=None)


async def beside(client: AsyncClient, count: int) -> tuple[list[Any], list[Any]]:
    """Streams beside so many that wait that they take a feed."""
    alone = [client.generate("x") for _ in range(ALONE)]
    fed = [client.generate("x") for _ in range(count)]
    return alone, fed


@in_loop
async def test_streams_beside_others_share_a_feed() -> None:
    with serving() as (servicer, url):
        async with client_of(url) as client:
            alone, fed = await beside(client, 6)
            answers = await asyncio.gather(*(stream.result() for stream in fed))
            assert all(answer.ids == [7, 8] * 4 for answer in answers)
            servicer.go.set()
            answers = await asyncio.gather(*(stream.result() for stream in alone))
            assert all(answer.ids == [7, 8] * 4 for answer in answers)
            # They are on their way; the server reads them when it likes.
            await asyncio.to_thread(wait_until, lambda: len(servicer.polls) >= 4, 30)
        assert len(servicer.places) == 6
        keys = {place.split("/")[0] for place in servicer.places}
        (key,) = keys
        assert len(key) == 32
        assert {poll.split("/")[0] for poll in servicer.polls} == keys
        # 2 polls of 8 responses at first, and one more for each 8 of the 18 bundles
        assert len(servicer.polls) == 4
        assert {int(place.split("/")[1]) for place in servicer.places} == set(range(6))


@in_loop
async def test_an_unstreamed_answer_names_no_feed() -> None:
    with serving() as (servicer, url):
        async with client_of(url) as client:
            await beside(client, 0)
            one = client.generate("x", stream=False)
            servicer.go.set()
            await one.result()
    assert servicer.places == [] and servicer.polls == []


@in_loop
async def test_a_server_without_feeds() -> None:
    """It answers by the streams, and is not asked again for a while."""
    with serving("refuse") as (servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 2)
            assert [(await stream.result()).ids for stream in fed] == [[7, 8] * 4] * 2
            assert len(servicer.places) == 2
            feed = client._connection._transport._feed  # type: ignore[union-attr]
            await asyncio.to_thread(wait_until, lambda: feed.refused, 30)
            later = client.generate("x")
            servicer.go.set()
            await later.result()
        assert len(servicer.places) == 2


@in_loop
async def test_a_feed_that_breaks_leaves_the_streams_to_themselves() -> None:
    with serving("break") as (_servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 1)
            assert (await fed[0].result()).ids == [7, 8] * 4


@in_loop
async def test_a_feed_that_ends_with_a_chunk_missing_is_an_error() -> None:
    with serving("end") as (_servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 1)
            with pytest.raises(StreamOrderError, match="after 1 chunks without its last"):
                await fed[0].result()


@in_loop
async def test_cancel_ends_one_stream() -> None:
    with serving("hang") as (servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 2)
            parts = [aiter(stream) for stream in fed]
            for part in parts:
                assert (await anext(part)).index == 0
            fed[0].cancel()
            with pytest.raises(CancelledError):
                await anext(parts[0])
            await asyncio.to_thread(wait_until, lambda: servicer.gone, 30)
            assert [place.split("/")[1] for place in servicer.gone] == ["0"]
            for part in parts:
                await part.aclose()


@in_loop
async def test_a_cancelled_task_ends_its_stream() -> None:
    with serving("hang") as (servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 1)
            task = asyncio.create_task(fed[0].result())
            await asyncio.to_thread(wait_until, lambda: servicer.places, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(wait_until, lambda: servicer.gone, 30)


@in_loop
async def test_a_stream_that_nobody_reads_ends_with_its_last_reference() -> None:
    with serving("hang") as (servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 1)
            await asyncio.to_thread(wait_until, lambda: servicer.places, 30)
            fed.clear()
            gc.collect()
            await asyncio.to_thread(wait_until, lambda: servicer.gone, 30)


@in_loop
async def test_the_timeout_of_a_request_holds() -> None:
    with serving("hang") as (_servicer, url):
        async with client_of(url) as client:
            await beside(client, 0)
            with pytest.raises(DeadlineExceededError):
                await client.generate("x", timeout=0.3).result()


@in_loop
async def test_an_unused_feed_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_feed, "_LINGER_S", 0.05)
    with serving() as (servicer, url):
        async with client_of(url) as client:
            _, fed = await beside(client, 2)
            await asyncio.gather(*(stream.result() for stream in fed))
            await asyncio.to_thread(wait_until, servicer.feed_gone.is_set, 30)
            more = [client.generate("x") for _ in range(2)]  # by another one, at once
            await asyncio.gather(*(stream.result() for stream in more))
        assert len({place.split("/")[0] for place in servicer.places}) == 2


@in_loop
async def test_a_server_that_ends_ends_all() -> None:
    with serving("hang") as (_servicer, url):
        client = client_of(url)
        _, fed = await beside(client, 2)
        parts = [aiter(stream) for stream in fed]
        for part in parts:
            await anext(part)
    for part in parts:
        with pytest.raises((UnavailableError, CancelledError, StreamOrderError)):
            await anext(part)
    await client.close()
