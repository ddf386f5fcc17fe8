"""Order, completeness, errors and cancels: the same on both protocols and in both clients."""

from __future__ import annotations

from time import monotonic
from typing import Any

import psutil
import pytest
from gemma4_client import (
    AccessDeniedError,
    CancelledError,
    DeadlineExceededError,
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of, whole
from gemma4_testing.waiting import wait_until

pytestmark = [
    pytest.mark.parametrize("kind", KINDS),
    pytest.mark.parametrize("protocol", PROTOCOLS),
]
ONCE = {"retry": None, "breaker": None}


def test_a_whole_stream(kind: str, protocol: str) -> None:
    with (
        server_of(protocol, Script(whole())) as (url, seen),
        client_of(kind, url, headers={"X-Team": "a"}) as client,
    ):
        stream = client.chat("hi", request_id="r1", headers={"X-Call": "b"}, max_tokens=4)
        deltas = list(stream)
        assert [d.text for d in deltas] == ["hello", "", "!"]
        answer = stream.answer
        assert (answer.text, answer.finish_reason, answer.usage.total_tokens) == (
            "hello!",
            "stop",
            6,
        )
        assert answer.ids == [7, 8] * 3
        assert answer.cum_log_prob == -1.5
        assert answer.timings["queue"] == 0.1
        assert 0 < answer.timings["ttft"] <= answer.timings["total"]
        assert list(stream) == []
        assert stream.result() == answer
    assert seen.headers[0]["x-team"] == "a"
    assert seen.headers[0]["x-call"] == "b"
    body = seen.bodies[0]
    assert (body.id if protocol == "grpc" else body["id"]) == "r1"


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(1)],
        [chunk(0), chunk(2, "stop")],
        [chunk(0), chunk(0)],
        [chunk(0)],
        [],
        [chunk(0, "stop"), chunk(1)],
    ],
    ids=["late start", "gap", "doubled", "cut off", "nothing", "goes on"],
)
def test_disorder_is_an_error(kind: str, protocol: str, chunks: list[Any]) -> None:
    with (
        server_of(protocol, Script(chunks)) as (url, _),
        client_of(kind, url, **ONCE) as client,
        pytest.raises(StreamOrderError),
    ):
        client.chat("hi").result()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("in ensemble 'gemma4', INVALID_ARGUMENT: top_k: -1", InvalidRequestError),
        ("UNAVAILABLE: full", UnavailableError),
        ("CANCELLED: gone", CancelledError),
        ("in ensemble 'gemma4', DEADLINE_EXCEEDED: timeout_ms: 3", DeadlineExceededError),
        ("INTERNAL: lost", ServerError),
        ("what is this", ServerError),
        ("Request for unknown model: 'gemma4' is not found", UnavailableError),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_each_status_has_its_exception(
    kind: str, protocol: str, text: str, error: type[Exception], late: bool
) -> None:
    script = Script([chunk(0)] if late else [], error=text)
    with (
        server_of(protocol, script) as (url, _),
        client_of(kind, url, **ONCE) as client,
        pytest.raises(Gemma4Error) as caught,
    ):
        client.chat("hi").result()
    assert type(caught.value) is error
    assert text.split(": ", 1)[-1] in str(caught.value)


@pytest.mark.parametrize(
    ("grpc_status", "http_status", "error"),
    [
        ("UNAUTHENTICATED", "401", AccessDeniedError),
        ("PERMISSION_DENIED", "403", AccessDeniedError),
        ("RESOURCE_EXHAUSTED", "429", UnavailableError),
        ("UNAVAILABLE", "503", UnavailableError),
        ("DEADLINE_EXCEEDED", "504", DeadlineExceededError),
        ("UNIMPLEMENTED", "500", ServerError),
    ],
)
def test_what_a_proxy_says(
    kind: str, protocol: str, grpc_status: str, http_status: str, error: type[Exception]
) -> None:
    script = Script(status=grpc_status if protocol == "grpc" else http_status)
    with (
        server_of(protocol, script) as (url, _),
        client_of(kind, url, **ONCE) as client,
        pytest.raises(error),
    ):
        client.chat("hi").result()


def test_a_lost_connection_is_unavailable(kind: str, protocol: str) -> None:
    script = Script([chunk(0)], drop=True, status="UNAVAILABLE" if protocol == "grpc" else "")
    with (
        server_of(protocol, script) as (url, seen),
        client_of(kind, url) as client,
        pytest.raises(UnavailableError),
    ):
        client.chat("hi").result()
    assert seen.count == 1  # a chunk came: not sent again


def test_no_server(kind: str, protocol: str) -> None:
    with client_of(kind, f"{protocol}://127.0.0.1:1") as client:
        assert not client.ready(timeout=0.5)
        with pytest.raises(UnavailableError):
            client.chat("hi", timeout=60).result()


def test_a_deadline_ends_a_silent_server(kind: str, protocol: str) -> None:
    with (
        server_of(protocol, Script([chunk(0)], hang=True)) as (url, seen),
        client_of(kind, url) as client,
    ):
        assert client.models_ready(timeout=30)  # connected: the deadline is for the answer only
        began = monotonic()
        with pytest.raises(DeadlineExceededError):
            client.chat("hi", timeout=1).result()
        assert monotonic() - began >= 1
        if protocol == "http":
            (arrived,) = seen.times
            left = 1000 - 1000 * (arrived - began)  # of the deadline, ms, when it arrived
            assert int(left) <= seen.bodies[0]["timeout_ms"] <= 1000
        else:
            assert seen.gone.wait(30)


def test_left_streams_stay_left(kind: str, protocol: str) -> None:
    with (
        server_of(protocol, Script([chunk(0)], hang=True)) as (url, _),
        client_of(kind, url) as client,
    ):
        stream = client.chat("hi")
        for _ in stream:
            break
        with pytest.raises(CancelledError, match="left before its end"):
            stream.result()
        assert stream.answer.text == "x"
        with client.chat("hi") as stream:
            stream.cancel()
            stream.cancel()
            with pytest.raises(CancelledError):
                stream.result()


def test_wrong_options_are_told_at_once(kind: str, protocol: str) -> None:
    with client_of(kind, f"{protocol}://127.0.0.1:1") as client:
        for options, says in (
            ({"tempreature": 1}, "did you mean temperature"),
            ({"max_tokens": "many"}, "max_tokens='many'"),
            ({"stream": "no"}, "stream='no' must be True or False"),
            ({"top_k": [1, 2]}, "top_k=.* one value"),
            ({"timeout": 0}, "timeout=0"),
        ):
            with pytest.raises(ValueError, match=says):
                client.chat("hi", **options)


def test_a_closed_client(kind: str, protocol: str) -> None:
    with server_of(protocol, Script(whole())) as (url, _):
        client = client_of(kind, url)
        with client:
            assert client.chat("hi").result().text == "hello!"
            client.close()
            client.close()
            with pytest.raises(RuntimeError, match="this client is closed"):
                client.chat("hi")


def test_a_stream_that_nobody_reads_ends_with_its_last_reference(kind: str, protocol: str) -> None:
    with (
        server_of(protocol, Script([chunk(0)], hang=True)) as (url, seen),
        client_of(kind, url) as client,
    ):
        stream = client.chat("hi")
        wait_until(lambda: seen.count == 1, 30)
        del stream
        if protocol == "grpc":
            assert seen.gone.wait(30)
        else:
            wait_until(lambda: no_connection_to(url), 5)


def no_connection_to(url: str) -> bool:
    """True when this process has one end of no connection there; the fake server has the other."""
    port = int(url.rpartition(":")[2])
    open_ones = psutil.Process().net_connections("tcp")
    return not any(
        c.raddr and c.raddr.port == port and c.status == "ESTABLISHED" for c in open_ones
    )
