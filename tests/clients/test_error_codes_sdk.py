"""``code``, ``field`` and ``details`` of the SDK's exceptions, by every protocol."""

from __future__ import annotations

import pickle
from typing import Any

import grpc
import pytest
from gemma4_client import (
    CircuitBreaker,
    CircuitOpenError,
    Gemma4Error,
    InvalidRequestError,
    ResponseFormatError,
    StreamOrderError,
    UnavailableError,
)
from gemma4_client.errors import ClientCode, Code, from_http, from_rpc, from_wire
from gemma4_runtime.errors import RequestError, invalid, overloaded
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.broken_servers import closed_port
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of

DEAD = "Stub process 'preprocessing_0_0' is not healthy."


class Failed(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, status: str, details: str) -> None:
        self._status, self._details = status, details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self._status]

    def details(self) -> str:
        return self._details


TOO_LONG = invalid(
    Code.PROMPT_TOO_LONG, "messages", 'UNAVAILABLE: [queue_full] "', tokens=9, limit=5
)
FULL = overloaded("3 requests run", slots=2, max_queued=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("stream", "late"), [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize(
    ("sent", "error"), [(TOO_LONG, InvalidRequestError), (FULL, UnavailableError)]
)
def test_what_the_server_sent_arrives(
    kind: Any, protocol: Any, stream: bool, late: bool, sent: Any, error: Any
) -> None:
    text = "in ensemble 'gemma4', " + sent.to_wire()
    script = Script([chunk(0)] if late else [], error=text)
    with (
        server_of(protocol, script) as (url, _),
        client_of(kind, url, retry=None) as client,
        pytest.raises(error) as caught,
    ):
        client.chat("hi", stream=stream).result()
    assert (caught.value.code, caught.value.field) == (sent.code, sent.field)
    assert (caught.value.details, str(caught.value)) == (sent.details, sent.message)


@pytest.mark.parametrize("code", list(Code))
def test_each_code_has_the_exception_of_its_status(code: Any) -> None:
    error = from_wire(RequestError(code, "x").to_wire())
    assert (error.status, error.code) == (code.status, code)
    if isinstance(error, UnavailableError):
        assert error.refused and error.overloaded is (code is Code.QUEUE_FULL)


def test_a_code_of_a_newer_server_is_passed_on() -> None:
    error = from_wire('UNAVAILABLE: [moon_in_the_way phase="full"] wait')
    assert (error.status, error.code, error.details) == (
        "UNAVAILABLE",
        "moon_in_the_way",
        {"phase": "full"},
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (from_wire(DEAD), ClientCode.PROCESS_LOST),
        (from_wire(RequestError(Code.TRITON_FAILED, DEAD).to_wire()), ClientCode.PROCESS_LOST),
        (from_wire("Server not ready"), ClientCode.SERVER_NOT_READY),
        (from_wire(f"INTERNAL: [engine_failed] {DEAD}"), Code.ENGINE_FAILED),
        (from_wire("UNAVAILABLE: full"), ClientCode.UNKNOWN),
        (from_wire("what is this"), ClientCode.UNKNOWN),
        (from_rpc(Failed("UNAVAILABLE", "Socket closed")), ClientCode.CONNECTION_LOST),
        (from_rpc(Failed("UNAVAILABLE", "empty address list: ")), ClientCode.CONNECTION_FAILED),
        (from_rpc(Failed("NOT_FOUND", "no such thing")), ClientCode.SERVER_NOT_READY),
        (from_rpc(Failed("UNAUTHENTICATED", "who?")), ClientCode.ACCESS_DENIED),
        (from_rpc(Failed("RESOURCE_EXHAUSTED", "slow down")), ClientCode.RATE_LIMITED),
        (from_rpc(Failed("RESOURCE_EXHAUSTED", "Received message larger than max (9 vs. 4)")),
         ClientCode.MESSAGE_TOO_LARGE),
        (from_rpc(Failed("DEADLINE_EXCEEDED", "Deadline Exceeded")), Code.DEADLINE_EXCEEDED),
        (from_rpc(Failed("CANCELLED", "Locally cancelled")), Code.CLIENT_CANCELLED),
        (from_rpc(Failed("INTERNAL", "x")), ClientCode.UNKNOWN),
        (from_rpc(Failed("UNIMPLEMENTED", "x")), ClientCode.UNKNOWN),
        (from_http(401, ""), ClientCode.ACCESS_DENIED),
        (from_http(413, ""), ClientCode.MESSAGE_TOO_LARGE),
        (from_http(429, ""), ClientCode.RATE_LIMITED),
        (from_http(502, ""), ClientCode.CONNECTION_LOST),
        (from_http(504, ""), Code.DEADLINE_EXCEEDED),
        (from_http(500, "x"), ClientCode.UNKNOWN),
        (from_http(400, TOO_LONG.to_wire()), Code.PROMPT_TOO_LONG),
        (StreamOrderError("x"), ClientCode.STREAM_BROKEN),
        (ResponseFormatError("x", None), ClientCode.RESPONSE_FORMAT),
        (CircuitOpenError("x"), ClientCode.CIRCUIT_OPEN),
    ],
)  # fmt: skip
def test_what_has_no_code_of_the_server_gets_one_here(error: Any, code: Any) -> None:
    assert error.code == code


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_a_server(kind: Any, protocol: Any) -> None:
    with (
        closed_port() as port,
        client_of(
            kind, f"{protocol}://127.0.0.1:{port}", retry=None, breaker=CircuitBreaker(failures=1)
        ) as client,
    ):
        for code in (ClientCode.CONNECTION_FAILED, ClientCode.CIRCUIT_OPEN):
            with pytest.raises(UnavailableError) as caught:
                client.chat("hi", timeout=20).result()
            assert caught.value.code == code


def test_they_can_be_pickled() -> None:
    """A program may pass them on to another process."""
    for sent in (TOO_LONG, FULL):
        error = from_wire(sent.to_wire())
        back = pickle.loads(pickle.dumps(error))
        assert isinstance(back, Gemma4Error)
        assert vars(back) == vars(error) and str(back) == str(error)
