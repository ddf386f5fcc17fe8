"""Cancels, deadlines, overload, drain, a lost engine, bad inputs: see docs/guarantees.md."""

from __future__ import annotations

import http.client
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import grpc
import psutil
import pytest
from gemma4_client import (
    CancelledError,
    Client,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    UnavailableError,
)
from gemma4_runtime.errors import Code, Status, parse_wire
from gemma4_runtime.server.board import Field
from gemma4_testing.cases.bad_inputs import BAD
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served, generate, user
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2, service_pb2_grpc

CANCEL_S = 0.5
LONG: dict[str, Any] = {"min_tokens": 1900, "max_tokens": 1900}
LONG_TOKENS = 600
"""Of an answer of the paced engine: six seconds."""


def start_long(client: Client, **options: Any) -> Any:
    """A stream that has begun and would run for long."""
    stream = client.chat(user("Count from 1 to 100"), **(LONG | options))
    next(iter_of(stream))
    return stream


def iter_of(stream: Any) -> Iterator[Any]:
    iterator = iter(stream)
    stream.iterator = iterator  # keep it: closing the generator would cancel
    found: Iterator[Any] = iterator
    return found


def test_grpc_cancel_frees_the_slot(server: Served) -> None:
    with server.client() as client:
        stream = start_long(client)
        stream.cancel()
        wait_until(server.idle, CANCEL_S)
        with pytest.raises(CancelledError):
            list(stream.iterator)


def test_leaving_the_block_cancels(server: Served) -> None:
    with server.client() as client:
        with start_long(client):
            pass
        wait_until(server.idle, CANCEL_S)


def test_cancel_of_an_unstreamed_request(server: Served) -> None:
    with server.client() as client:
        stream = client.chat(user("Count"), stream=False, **LONG)
        Thread(target=lambda: pytest.raises(Gemma4Error, stream.result), daemon=True).start()
        wait_until(lambda: server.board()[Field.IN_FLIGHT] == 1, 5)
        stream.cancel()
        wait_until(server.idle, CANCEL_S)


def test_killed_client_frees_the_slot(server: Served) -> None:
    code = (
        "import sys; from gemma4_client import Client\n"
        "c = Client(sys.argv[1])\n"
        "for d in c.chat([{'role': 'user', 'content': 'x'}], min_tokens=1900, max_tokens=1900):\n"
        "    print('x', flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, f"127.0.0.1:{server.grpc}"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.read(1)
    child.kill()
    wait_until(server.idle, CANCEL_S)
    child.wait()


def test_http_disconnect_frees_the_slot(server: Served) -> None:
    """A stream. Triton 2.51 does not look at the connection of a plain `generate` before it
    answers (docs/serving.md)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http)
    body = {"messages": json.dumps(user("x")), "stream": True, **LONG}
    connection.request("POST", "/v2/models/gemma4/generate_stream", json.dumps(body))
    reply = connection.getresponse()
    reply.read(10)
    wait_until(lambda: server.board()[Field.ACTIVE] == 1, 1)
    reply.close()
    connection.close()
    wait_until(server.idle, CANCEL_S)


def test_http_generate_obeys_its_deadline(server: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.http)
    body = {"messages": json.dumps(user("x")), "stream": False, "timeout_ms": 200, **LONG}
    connection.request("POST", "/v2/models/gemma4/generate", json.dumps(body))
    assert b"DEADLINE_EXCEEDED: [deadline_exceeded] timeout_ms" in connection.getresponse().read()
    wait_until(server.idle, CANCEL_S)


def test_deadlines_free_the_slot(server: Served) -> None:
    with server.client() as client:
        with pytest.raises(DeadlineExceededError, match="timeout_ms"):
            client.chat(user("x"), timeout_ms=150, **LONG).result()
        wait_until(server.idle, CANCEL_S)
        with pytest.raises(DeadlineExceededError):
            client.chat(user("x"), timeout=0.2, **LONG).result()
        wait_until(server.idle, CANCEL_S)


def test_a_thousand_cancels_leave_nothing(synthetic: Served) -> None:
    engine = psutil.Process(synthetic.board()[Field.ENGINE_PID])
    before = synthetic.board()[Field.ACCEPTED]

    def one(_: int) -> None:
        with start_long(client, min_tokens=0, max_tokens=3000):
            pass

    with synthetic.client() as client, ThreadPoolExecutor(20) as pool:
        list(pool.map(one, range(300)))
        wait_until(synthetic.idle, 5)
        memory, threads = engine.memory_info().rss, engine.num_threads()
        list(pool.map(one, range(700)))
        wait_until(synthetic.idle, 5)
    assert synthetic.board()[Field.ACCEPTED] - before == 1000
    assert engine.memory_info().rss < memory * 1.1 + 8e6
    assert engine.num_threads() <= threads + 1
    assert synthetic.stop() == 0


def test_overload_is_refused_and_recovers(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run", "--slots", "1", "--max-queued", "1")
    with served.client() as client:
        running = start_long(client, min_tokens=0, max_tokens=2000)
        waiting = client.chat(user("x"), max_tokens=5)
        wait_until(lambda: served.board()[Field.IN_FLIGHT] == 2, 5)
        with pytest.raises(UnavailableError, match="retry later"):
            client.chat(user("x"), max_tokens=5).result()
        running.cancel()
        assert waiting.result().completion_tokens == 5
    assert served.stop() == 0


def test_drain(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    with served.client() as client:
        stream = start_long(client, min_tokens=0, max_tokens=150)
        served.process.send_signal(signal.SIGTERM)
        wait_until(lambda: served.board()[Field.DRAINING] == 1, 5)
        with pytest.raises(UnavailableError, match=r"draining|no model ready|[Ss]erver exiting"):
            client.chat(user("x"), max_tokens=5).result()
        list(stream.iterator)
        assert stream.answer.completion_tokens == 150
    assert served.process.wait(30) == 0


def test_drain_of_the_ensemble(engines: Path, tmp_path: Path) -> None:
    """Over gRPC with a call that is half closed and one that is not, and over HTTP. Triton and its
    models stay ready until the answers are whole; the server says that it takes no more."""
    served = Served(engines / "synthetic", tmp_path / "run")
    request = service_pb2.ModelInferRequest(model_name="gemma4")
    for name, kind, field, value in (
        ("text_input", "BYTES", "bytes_contents", b"x"),
        ("max_tokens", "INT32", "int_contents", LONG_TOKENS),
        ("min_tokens", "INT32", "int_contents", LONG_TOKENS),
        ("stream", "BOOL", "bool_contents", True),
    ):
        tensor = request.inputs.add(name=name, datatype=kind, shape=[1, 1])
        getattr(tensor.contents, field).append(value)
    over = Event()

    def held_open() -> Iterator[Any]:
        yield request
        over.wait(60)

    def by_grpc(requests: Iterator[Any]) -> int:
        with grpc.insecure_channel(f"127.0.0.1:{served.grpc}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            found = 0
            for reply in stub.ModelStreamInfer(requests, timeout=60):
                assert not reply.error_message
                outputs = [output.name for output in reply.infer_response.outputs]
                at = outputs.index("completion_tokens")
                (found,) = struct.unpack("<i", reply.infer_response.raw_output_contents[at])
                if found == LONG_TOKENS:
                    over.set()
        return found

    def by_http() -> int:
        body = {
            "text_input": "x", "stream": True, "max_tokens": LONG_TOKENS, "min_tokens": LONG_TOKENS,
        }  # fmt: skip
        last = generate(served, body, stream=True)[-1]
        return int(last["completion_tokens"])

    with ThreadPoolExecutor(3) as pool:
        answers = [
            pool.submit(by_grpc, iter([request])), pool.submit(by_grpc, held_open()),
            pool.submit(by_http),
        ]  # fmt: skip
        wait_until(lambda: served.board()[Field.IN_ENSEMBLE] == 3, 5)
        served.process.send_signal(signal.SIGTERM)
        with served.client() as client:
            wait_until(lambda: client.server_info().refusal == Code.DRAINING, 3)
            assert client.models_ready() and not client.ready()
        assert [answer.result(60) for answer in answers] == [LONG_TOKENS] * 3
    assert served.process.wait(30) == 0


def test_killed_engine_ends_streams_and_recovers(engines: Path, tmp_path: Path) -> None:
    served = Served(engines / "synthetic", tmp_path / "run")
    with served.client() as client:
        streams = [start_long(client, min_tokens=0, max_tokens=3000) for _ in range(4)]
        os.kill(served.board()[Field.ENGINE_PID], signal.SIGKILL)

        def drained(stream: bool) -> None:
            with pytest.raises(Gemma4Error):
                list(stream.iterator)  # type: ignore[attr-defined]

        threads = [Thread(target=drained, args=(s,)) for s in streams]
        for thread in threads:
            thread.start()
        wait_until(lambda: not any(t.is_alive() for t in threads), 2.0)
        wait_until(lambda: not served.ready(), 2.0)
        served.wait_for("Ctrl-C stops", times=2)
        with served.client() as fresh:
            assert fresh.chat(user("x"), max_tokens=3).result().completion_tokens == 3
    assert "server_lost" in "".join(served.output)
    assert served.stop() == 0


def test_bad_inputs_disturb_nothing(server: Served) -> None:
    """The whole table over gRPC, beside a stream that must not notice."""

    def send(bad: Any) -> str:
        request = service_pb2.ModelInferRequest(model_name="gemma4")
        for name, (dtype, values) in bad.inputs.items():
            tensor = request.inputs.add(name=name, datatype=dtype)
            tensor.shape.extend([1, len(values)])
            contents = tensor.contents
            if dtype == "BYTES":
                contents.bytes_contents.extend(
                    v.encode() if isinstance(v, str) else v for v in values
                )
            elif dtype == "BOOL":
                contents.bool_contents.extend(values)
            elif dtype == "FP32":
                contents.fp32_contents.extend(values)
            elif dtype == "INT64":
                contents.int64_contents.extend(values)
            elif dtype == "UINT64":
                contents.uint64_contents.extend(values)
            else:
                contents.int_contents.extend(values)
        (reply,) = list(stub.ModelStreamInfer(iter([request]), timeout=30))
        found: str = reply.error_message
        return found

    channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc}")
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    with server.client() as client, channel:
        beside = start_long(client)
        for bad in BAD:
            message = send(bad)
            error = parse_wire(message)
            if error is None:
                assert "unexpected shape" in message  # [1, 2] where [1, 1] is declared
            else:
                assert error.status is Status.INVALID_ARGUMENT and error.code in set(Code)
                assert bad.says in error.message, (bad.name, message)
        list(beside.iterator)
        assert beside.answer.completion_tokens == 1900
        with pytest.raises(InvalidRequestError, match="max_tokens"):
            client.chat(user("x"), max_tokens=0).result()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "nowhere"], "no such folder"),
        (["--engine", "{checkpoint}"], "no engine folder"),
        (["--engine", "{f32}", "--http-port", "{http}"], "another port"),
        (["--engine", "{f32}", "--slots", "100000000"], "slots"),
        (["--engine", "{f32}", "--log-format", "xml"], "text, json or auto"),
    ],
)
def test_a_start_that_cannot_work(
    server: Served, engines: Path, checkpoint: Path, arguments: list[str], says: str
) -> None:
    values = {"checkpoint": checkpoint, "f32": engines / "f32", "http": server.http}
    ran = subprocess.run(
        [GEMMA4, "serve", *(a.format(**values) for a in arguments)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode != 0
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_tampered_file_is_refused(engines: Path, tmp_path: Path) -> None:
    import shutil

    copy = shutil.copytree(engines / "f32", tmp_path / "engine")
    model = copy / "model.gguf"
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    ran = subprocess.run(
        [GEMMA4, "serve", "--engine", copy], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 1
    assert "model.gguf" in ran.stderr and "SHA-256" in ran.stderr
