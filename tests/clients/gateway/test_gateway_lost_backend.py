"""Which requests another back end gets when one fails. Fake back ends that really die."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from gemma4_gateway.banner import banner
from gemma4_testing.fakes.broken_servers import closed_port
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before
from gemma4_testing.fakes.ports import ANSWERS, grpc_server, http, listener
from gemma4_testing.waiting import wait_until


@pytest.mark.parametrize("stream", [True, False])
def test_a_poison_request_kills_exactly_one(stream: bool) -> None:
    with (
        fake_backend("poison") as a,
        fake_backend("poison") as b,
        gateway_before(a.address, b.address) as gateway,
    ):
        reply = gateway.chat("poison", stream=stream)
        assert reply.status_code == 503
        error = reply.json()["error"]
        assert error["code"] == "backend_lost"
        assert "may have begun the request" in error["message"]
        assert reply.headers["retry-after"]
        wait_until(lambda: [a.died, b.died].count(True) == 1, 10)
        wait_until(lambda: len(a.requests) + len(b.requests) == 1, 10)
        for i in range(20):
            assert gateway.chat(f"hi {i}").status_code == 200
        assert [a.died, b.died].count(True) == 1


def test_one_that_refuses_costs_nobody_an_answer() -> None:
    with (
        fake_backend("refusing") as a,
        fake_backend("good") as b,
        gateway_before(a.address, b.address, health_interval=60) as gateway,
    ):
        # It says ready and refuses: a back end whose drain has just begun.
        gateway.gateway.backends[0].mark(ready=True)
        replies = [gateway.chat(f"hi {i}") for i in range(20)]
        assert {r.status_code for r in replies} == {200}
        wait_until(lambda: len(b.requests) == 20 and a.requests, 10)


def test_one_that_is_not_there_and_one_that_comes_back() -> None:
    with (
        closed_port() as port,
        fake_backend("good") as b,
        gateway_before(f"127.0.0.1:{port}", b.address) as gateway,
    ):
        assert {gateway.chat(f"hi {i}").status_code for i in range(10)} == {200}
    with (
        fake_backend("poison") as a,
        fake_backend("good") as b,
        gateway_before(a.address, b.address) as gateway,
    ):
        texts = [f"hi {i}" for i in range(30)]
        for text in texts:
            assert gateway.chat(text).status_code == 200
        wait_until(lambda: a.requests and b.requests, 10)
        a.kill()
        # Nothing of these was under way: each is refused a connection, or finds it closed before
        # it is sent.
        assert {gateway.chat(text).status_code for text in texts} == {200}
        with fake_backend("good", a.port) as again:
            wait_until(lambda: all(x.ready for x in gateway.gateway.backends), 10)

            def used_again() -> bool:
                assert {gateway.chat(text).status_code for text in texts} == {200}
                return bool(again.requests)

            wait_until(used_again, 40)


def test_a_dead_preprocessing_is_found_before_a_request_finds_it() -> None:
    """Triton says that the model is ready."""
    with (
        fake_backend("dead") as a,
        fake_backend("good") as b,
        gateway_before(a.address, b.address) as gateway,
    ):
        assert not gateway.gateway.backends[0].ready
        assert "preprocessing_0_0" in gateway.gateway.backends[0].reason
        assert {gateway.chat(f"hi {i}").status_code for i in range(30)} == {200}
        wait_until(lambda: len(b.requests) == 30, 10)
        assert not a.requests


def test_a_preprocessing_that_dies_of_a_request_costs_that_request() -> None:
    """The others that wait there are answered elsewhere; it is out at once."""
    with (
        fake_backend("killed") as a,
        fake_backend("killed") as b,
        gateway_before(a.address, b.address, health_interval=60) as gateway,
    ):
        with ThreadPoolExecutor(9) as pool:
            first = pool.submit(gateway.chat, "poison")
            wait_until(lambda: a.requests or b.requests, 10)
            rest = list(pool.map(lambda i: gateway.chat(f"hi {i}"), range(8)))
        reply = first.result()
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "backend_lost")
        assert {r.status_code for r in rest} == {200}
        poisoned = [x for x in (a, b) if any("poison" in r for r in x.requests)]
        assert len(poisoned) == 1
        assert [x.ready for x in gateway.gateway.backends].count(False) == 1


def test_all_dead_says_why() -> None:
    with fake_backend("dead") as a, gateway_before(a.address) as gateway:
        reply = gateway.chat("hi")
        assert reply.status_code == 503
        assert reply.json()["error"]["code"] == "unavailable"
        with gateway.http() as http:
            assert http.get("/health/ready").status_code == 503


WRONG = {
    "triton": "is Triton's HTTP port; give the gRPC port",
    "metrics": "has metrics, for Prometheus; give the gRPC port",
    "gateway": "is a gateway, for clients of OpenAI's",
    "http": "is an HTTP server, not Triton's; give the gRPC port",
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_wrong_port_is_named(kind: str) -> None:
    with listener(http(kind)) as port, gateway_before(f"127.0.0.1:{port}") as gateway:
        reply = gateway.chat("hi")
        assert reply.status_code == 503
        assert f"127.0.0.1:{port} {WRONG[kind]}" in reply.json()["error"]["message"]
        assert WRONG[kind] in banner(gateway.gateway, "127.0.0.1", 1)


def test_a_right_port_that_is_not_ready_is_not_called_wrong() -> None:
    with grpc_server() as port, gateway_before(f"127.0.0.1:{port}") as gateway:
        assert gateway.gateway.backends[0].reason == "not ready, or no server at this address"


def test_a_server_that_comes_late_is_taken() -> None:
    with ExitStack() as held:
        port = held.enter_context(closed_port())
        with gateway_before(f"127.0.0.1:{port}") as gateway:
            (backend,) = gateway.gateway.backends
            assert backend.reason.startswith(f"no server at 127.0.0.1:{port}")
            held.close()
            with fake_backend("good", port):
                wait_until(lambda: backend.ready, 20)
                assert gateway.chat("hi").status_code == 200
            wait_until(lambda: not backend.ready, 20)
            assert backend.reason == "not ready, or no server at this address"
