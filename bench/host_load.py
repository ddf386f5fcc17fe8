"""The load of bench/host.py: asyncio, N streams at once, every chunk checked for order, every
stream for completeness. Run as a process of its own: ``host_load.py JOB`` prints a JSON result."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import numpy as np
import orjson
import psutil
from gemma4_client import AsyncClient
from gemma4_client.wire import build_request, raw_tensor
from host_sse import gateway_chunks
from tritonclient.grpc import service_pb2

METHOD = "/inference.GRPCInferenceService/ModelStreamInfer"


@dataclass(frozen=True)
class Job:
    """``interval_s`` is the engine's pace, for the lag. ``url`` is host:port, of gRPC or of what
    speaks HTTP. ``model`` and ``token_bytes`` are for that: see :func:`gateway_chunks`."""

    topology: str
    url: str
    streams: int
    tokens: int
    prompt: str
    interval_s: float
    model: str = ""
    token_bytes: tuple[int, ...] = ()


@dataclass
class Result:
    """Times in seconds. ``lag``: a chunk's arrival after the stream's first chunk, less what the
    engine's pace gives for the tokens before its last one. ``progress``: tokens of the slowest and
    the fastest stream when the first one ended. ``ttft`` in the order of arrival."""

    seconds: float
    tokens: int
    responses: int
    ttft: list[float]
    gap_p50: float
    gap_p99: float
    lag_p50: float
    lag_p99: float
    lag_first_half_p99: float
    lag_second_half_p99: float
    progress: tuple[int, int]
    client_cpu: float


class Stream:
    """What one stream has seen."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.counts: list[int] = []
        self.total = 0
        self.ttft = 0.0


def _reference_request(job: Job) -> service_pb2.ModelInferRequest:
    model = "engine" if job.topology == "null" else "ensemble"
    request = service_pb2.ModelInferRequest(model_name=model)
    if model == "engine":
        request.inputs.add(name="input_ids", datatype="INT32", shape=[1, 4])
        request.raw_input_contents.append(struct.pack("<4i", 600, 601, 602, 603))
    else:
        request.inputs.add(name="text_input", datatype="BYTES", shape=[1, 1])
        request.raw_input_contents.append(raw_tensor("text_input", "BYTES", [job.prompt]))
    request.inputs.add(name="max_tokens", datatype="INT32", shape=[1, 1])
    request.raw_input_contents.append(struct.pack("<i", job.tokens))
    return request


def _request(job: Job) -> service_pb2.ModelInferRequest:
    if job.topology in ("null", "reference"):
        return _reference_request(job)
    inputs = {"text_input": job.prompt, "max_tokens": job.tokens, "stream": True}
    return build_request(inputs, model=job.topology)


def _read(topology: str, response: service_pb2.ModelInferResponse) -> tuple[int, int] | None:
    """Return the index and tokens of a chunk. The reference has one token per chunk and counts from
    1."""
    if not response.outputs:
        return None
    if topology == "engine":
        values = orjson.loads(response.raw_output_contents[0])
        return values.get("chunk_index", 0), len(values.get("output_ids", ()))
    index = tokens = 0
    for output, data in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.name in ("length", "sequence_length"):
            index, tokens = int.from_bytes(data, "little") - 1, 1
        elif output.name == "chunk_index":
            index = int.from_bytes(data, "little")
        elif output.name == "output_ids" and topology == "gemma4":
            tokens = len(data) // 4
    return index, tokens


Call = Callable[[AsyncIterator[service_pb2.ModelInferRequest]], Any]


async def _grpc_chunks(call: Call, job: Job) -> AsyncIterator[tuple[int, int]]:
    async def one() -> AsyncIterator[service_pb2.ModelInferRequest]:
        yield _request(job)

    async for message in call(one()):
        if message.error_message:
            raise RuntimeError(message.error_message)
        read = _read(job.topology, message.infer_response)
        if read is not None:
            yield read


async def _client_chunks(client: AsyncClient, job: Job) -> AsyncIterator[tuple[int, int]]:
    async for delta in client.generate(job.prompt, max_tokens=job.tokens):
        yield delta.index, len(delta.ids)


async def _follow(chunks: AsyncIterator[tuple[int, int]], stream: Stream) -> None:
    expected, started = 0, time.monotonic()
    async for index, tokens in chunks:
        now = time.monotonic()
        if index != expected:
            raise RuntimeError(f"chunk {index} arrived where {expected} was due")
        expected += 1
        stream.ttft = stream.ttft or now - started
        stream.times.append(now)
        stream.counts.append(tokens)
        stream.total += tokens


async def _run(job: Job) -> tuple[list[Stream], tuple[int, int]]:
    streams = [Stream() for _ in range(job.streams)]
    channel = client = None
    if job.topology in ("gateway", "dynamo"):

        def chunks() -> AsyncIterator[tuple[int, int]]:
            return gateway_chunks(job.url, job.model, job.prompt, job.tokens, job.token_bytes)

    elif job.topology == "client":
        client = AsyncClient(job.url, retry=None)
        if not await client.ready():
            raise RuntimeError("the server is not ready")

        def chunks() -> AsyncIterator[tuple[int, int]]:
            return _client_chunks(client, job)

    else:
        options = [("grpc.max_receive_message_length", -1)]
        channel = grpc.aio.insecure_channel(job.url, options=options)
        call = channel.stream_stream(
            METHOD,
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelStreamInferResponse.FromString,
        )
        await asyncio.wait_for(channel.channel_ready(), 10)

        def chunks() -> AsyncIterator[tuple[int, int]]:
            return _grpc_chunks(call, job)

    tasks = [asyncio.create_task(_follow(chunks(), stream)) for stream in streams]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    totals = [stream.total for stream in streams]
    await asyncio.gather(*tasks)
    if channel is not None:
        await channel.close()
    if client is not None:
        await client.close()
    short = [stream.total for stream in streams if stream.total != job.tokens]
    if short:
        raise RuntimeError(f"{len(short)} streams are not whole: {short[:5]} of {job.tokens}")
    return streams, (min(totals), max(totals))


def _percentile(values: list[float], q: float) -> float:
    return float(np.percentile(values, q)) if values else 0.0


def measure(job: Job) -> Result:
    """Run the streams once."""
    process = psutil.Process()
    before, started = process.cpu_times(), time.monotonic()
    streams, progress = asyncio.run(_run(job))
    seconds, after = time.monotonic() - started, process.cpu_times()
    gaps: list[float] = []
    lags: list[list[float]] = [[], []]
    for stream in streams:
        gaps += np.diff(stream.times).tolist()
        tokens = np.cumsum(stream.counts)
        due = (tokens - stream.counts[0]) * job.interval_s
        lag = np.array(stream.times) - stream.times[0] - due
        for index, part in enumerate(np.array_split(lag, 2)):
            lags[index] += part.tolist()
    both = lags[0] + lags[1]
    return Result(
        seconds=seconds,
        tokens=sum(stream.total for stream in streams),
        responses=sum(len(stream.times) for stream in streams),
        ttft=[stream.ttft for stream in streams],
        gap_p50=_percentile(gaps, 50),
        gap_p99=_percentile(gaps, 99),
        lag_p50=_percentile(both, 50),
        lag_p99=_percentile(both, 99),
        lag_first_half_p99=_percentile(lags[0], 99),
        lag_second_half_p99=_percentile(lags[1], 99),
        progress=progress,
        client_cpu=after.user + after.system - before.user - before.system,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(measure(Job(**json.loads(sys.argv[1]))))))
