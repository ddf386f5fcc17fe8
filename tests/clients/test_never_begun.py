"""What is known of a request that failed: refused, never sent, or lost after it was sent."""

from __future__ import annotations

import grpc
import pytest
from gemma4_client import RetryPolicy, UnavailableError
from gemma4_client.errors import (
    Gemma4Error,
    InvalidRequestError,
    ServerError,
    from_http,
    from_rpc,
    from_wire,
)
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.broken_servers import closed_port, dying_server
from gemma4_testing.fakes.fake_triton import Script, server_of, whole

FAST = RetryPolicy(attempts=4, first_delay=0.01, max_delay=0.05)
REFUSED, LOST = True, False


class Failed(grpc.RpcError):  # type: ignore[misc]
    def __init__(self, code: str, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode[self._code]

    def details(self) -> str:
        return self._details


DEAD = "Stub process 'preprocessing_0_0' is not healthy."
TEXTS = [
    # what our server says
    ("UNAVAILABLE: 64 requests run or wait, which is all this server takes", REFUSED),
    ("in ensemble 'gemma4', UNAVAILABLE: the server is draining before it stops", REFUSED),
    ("UNAVAILABLE: the engine is lost (x); the server restarts", REFUSED),
    # what Triton says before it hands the request to a model
    ("Request for unknown model: 'engine' is not found", REFUSED),
    ("Request for unknown model: 'engine' version 1 is not at ready state", REFUSED),
    ("Server not ready", REFUSED),
    ("Server is stopping, scheduler for model has stopped accepting new inference requests",
     REFUSED),
    ("in ensemble 'gemma4', [request id: 1] Exceeds maximum queue size", REFUSED),
    ("INTERNAL: Failed for execute the inference request. Model 'preprocessing' is not ready.",
     REFUSED),
    ("INTERNAL: engine step: Failed for execute the inference request. Model 'preprocessing' is "
     "not ready.", REFUSED),
    # what it says of a request in a process that has died, and of each one after it
    (DEAD, LOST),
    (f"INTERNAL: {DEAD}", LOST),
    (f"INTERNAL: engine step: {DEAD}", LOST),
    (f"in ensemble 'gemma4', {DEAD}", LOST),
    ("Failed to process the request(s) for model instance 'engine_0_0', message: Stub process "
     "'engine_0_0' is not healthy.", LOST),
    ("Stub process is unhealthy and it will be restarted.", LOST),
]  # fmt: skip
NOT_UNAVAILABLE = [
    ("INTERNAL: the engine was lost; the server restarts", ServerError),
    ("INTERNAL: engine step: KeyError: 'x'", ServerError),
    ("Failed to process the request(s) for model instance 'engine_0_0', message: KeyError",
     ServerError),
    ("INVALID_ARGUMENT: stop_words[0]: 'not ready' is no word", InvalidRequestError),
    (f"INVALID_ARGUMENT: text_input: {DEAD}", InvalidRequestError),
    (f"INTERNAL: engine step: {'x' * 200} {DEAD}", ServerError),
]  # fmt: skip


@pytest.mark.parametrize(("text", "refused"), TEXTS)
def test_words_of_the_server(text: str, refused: bool) -> None:
    found = [from_wire(text), from_http(400, text), from_http(503, text)]
    found += [from_rpc(Failed(code, text)) for code in ("UNAVAILABLE", "INTERNAL")]
    for error in found:
        assert isinstance(error, UnavailableError), error
        assert error.refused is refused
        assert bool(error.process) is ("Stub process" in text)


def test_the_dead_process_has_a_name() -> None:
    assert from_wire(f"INTERNAL: {DEAD}").process == "preprocessing_0_0"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("text", "kind"), NOT_UNAVAILABLE)
def test_words_that_are_something_else(text: str, kind: type[Exception]) -> None:
    assert type(from_wire(text)) is kind


@pytest.mark.parametrize(
    ("code", "details", "refused"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1:"
         " Failed to connect to remote host: Connection refused", REFUSED),
        ("UNAVAILABLE", "DNS resolution failed for nowhere:8001: C-ares status is not ARES_SUCCESS",
         REFUSED),
        ("UNAVAILABLE", "empty address list: ", REFUSED),
        ("NOT_FOUND", "no such thing", REFUSED),
        ("RESOURCE_EXHAUSTED", "rate limited by the proxy", REFUSED),
        ("UNAVAILABLE", "Stream removed (Socket closed)", LOST),
        ("UNAVAILABLE", "Socket closed", LOST),
        ("UNAVAILABLE", "recvmsg:Connection reset by peer", LOST),
        ("UNAVAILABLE", "GOAWAY received; Error code: 2; Debug Text: ping_timeout", LOST),
        ("UNAVAILABLE", "keepalive watchdog timeout", LOST),
        ("UNAVAILABLE", "Broken pipe", LOST),
        ("UNAVAILABLE", "upstream connect error or disconnect/reset before headers", LOST),
        ("UNAVAILABLE", "", LOST),
    ],
)  # fmt: skip
def test_words_of_grpc(code: str, details: str, refused: bool) -> None:
    error = from_rpc(Failed(code, details))
    assert isinstance(error, UnavailableError)
    assert error.refused is refused


@pytest.mark.parametrize(("code", "refused"), [(429, REFUSED), (502, LOST), (503, LOST)])
def test_words_of_a_proxy(code: int, refused: bool) -> None:
    error = from_http(code, "<html>bad gateway</html>")
    assert isinstance(error, UnavailableError)
    assert error.refused is refused


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("stream", [True, False])
def test_a_server_that_dies_of_it_gets_it_once(kind: str, protocol: str, stream: bool) -> None:
    with dying_server(protocol) as server, client_of(kind, server.url, retry=FAST) as client:
        with pytest.raises(UnavailableError) as caught:
            client.chat("poison", stream=stream, timeout=20).result()
        assert not caught.value.refused
        assert server.requests == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_only_reads_is_asked_again(kind: str, protocol: str) -> None:
    with dying_server(protocol) as server, client_of(kind, server.url, retry=FAST) as client:
        with pytest.raises(UnavailableError):
            client.server_info(timeout=20)
        assert server.requests == FAST.attempts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_not_there_is_tried_again(kind: str, protocol: str) -> None:
    with (
        closed_port() as port,
        client_of(kind, f"{protocol}://127.0.0.1:{port}", retry=None) as client,
        pytest.raises(UnavailableError) as caught,
    ):
        client.chat("hi", timeout=20).result()
    assert caught.value.refused
    many = RetryPolicy(attempts=100, first_delay=0.1, max_delay=0.1, budget_reserve=100)
    with closed_port() as port:
        client = client_of(kind, f"grpc://127.0.0.1:{port}", retry=many)
        stream = client.chat("hi", timeout=30)
    with dying_server("grpc", port) as server, client:
        with pytest.raises(UnavailableError) as caught:
            stream.result()
        assert not caught.value.refused
        assert server.requests == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["Server not ready", "UNAVAILABLE: draining"])
def test_a_server_that_says_no_is_asked_again(kind: str, text: str) -> None:
    with (
        server_of("grpc", Script(error=text), Script(whole())) as (url, seen),
        client_of(kind, url, retry=FAST) as client,
    ):
        assert client.chat("hi").result().text == "hello!"
    assert seen.count == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_process_behind_triton_is_not_asked_again(kind: str) -> None:
    with (
        server_of("grpc", Script(error=DEAD)) as (url, seen),
        client_of(kind, url, retry=FAST) as client,
        pytest.raises(UnavailableError) as caught,
    ):
        client.chat("hi").result()
    assert (caught.value.refused, caught.value.process) == (False, "preprocessing_0_0")
    assert isinstance(caught.value, Gemma4Error)
    assert seen.count == 1
