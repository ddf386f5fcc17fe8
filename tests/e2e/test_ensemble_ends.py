"""Triton releases every request of the ensemble, however it ended. One whose step failed while
others were under way would stay in its memory, with all that these answer (before core#466)."""

from __future__ import annotations

import json
import queue
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

LONG = {"text_input": "Count", "max_tokens": 1900, "min_tokens": 1900, "stream": True}
TYPES = {str: ("BYTES", np.object_), bool: ("BOOL", np.bool_), int: ("INT32", np.int32)}
MANY = 10


def left_http(server: Served) -> None:
    """Close the connection after the first events."""
    opened(server, LONG).close()


def over_http(server: Served) -> None:
    """Read to the end, which is the deadline's."""
    with opened(server, LONG | {"timeout_ms": 300}) as sock:
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    assert b"DEADLINE_EXCEEDED" in data and data.count(b"data: ") > 3


def opened(server: Served, body: dict[str, Any]) -> socket.socket:
    data = json.dumps(body).encode()
    sock = socket.create_connection(("127.0.0.1", server.http), 30)
    sock.sendall(
        b"POST /v2/models/gemma4/generate_stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
        b"content-length: %d\r\n\r\n" % len(data) + data
    )
    assert sock.recv(1000)
    return sock


def cancelled_grpc(server: Served) -> None:
    replies: Any = queue.Queue()
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        client.start_stream(lambda result, error: replies.put(error or result))
        client.async_stream_infer("gemma4", [tensor(*item) for item in LONG.items()])
        for _ in range(5):
            assert not isinstance(replies.get(timeout=30), Exception)
        client.stop_stream(cancel_requests=True)


def tensor(name: str, value: Any) -> triton.InferInput:
    kind, dtype = TYPES[type(value)]
    made = triton.InferInput(name, [1, 1], kind)
    return made.set_data_from_numpy(np.array([[value]], dtype))


def failures(server: Served) -> int:
    """Return Triton's count, to which 2.51 adds one when it answers a request of an ensemble with
    an error, and one when it releases that."""
    with triton.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        (model,) = client.get_inference_statistics("gemma4").model_stats
    return int(model.inference_stats.fail.count)


@pytest.mark.parametrize("ask", [left_http, over_http, cancelled_grpc])
def test_each_request_is_released(server: Served, ask: Callable[[Served], None]) -> None:
    wait_until(server.idle, 10)
    before = failures(server)
    for _ in range(MANY):
        ask(server)
    wait_until(server.idle, 10)
    wait_until(lambda: failures(server) == before + 2 * MANY, 10, "released")
