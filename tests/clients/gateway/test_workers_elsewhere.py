"""Workers of a gateway with what is outside of it: new certificates, and Redis beside a second one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gemma4_testing.certificates import Authority
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.servers.redis_server import RedisServer
from gemma4_testing.servers.running_workers import RunningWorkers, Started
from gemma4_testing.waiting import wait_until


@pytest.fixture
def start() -> Iterator[Started]:
    with fake_backend("good") as backend:
        started = Started(backend.port)
        yield started
        started.end()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def certificate(
    gateway: RunningWorkers, worker: psutil.Process, authority: Authority
) -> bytes | None:
    """What one worker shows."""
    with (
        gateway.only(worker),
        socket.create_connection(("127.0.0.1", gateway.port)) as sock,
        authority.client().wrap_socket(sock, server_hostname="127.0.0.1") as tls,
    ):
        return tls.getpeercert(binary_form=True)


def test_a_new_certificate_is_shown_by_all(start: Started, tmp_path: Path) -> None:
    """Also by a worker that took the place of another; a stream on the old one goes on."""
    authority = Authority(tmp_path)
    files = authority.issue(days=30)
    gateway = start("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile))
    first, second = gateway.workers
    old = certificate(gateway, first, authority)
    assert old and certificate(gateway, second, authority) == old
    authority.issue(days=90)
    for worker in (first, second):
        wait_until(lambda worker=worker: certificate(gateway, worker, authority) != old, 20)  # type: ignore[misc]
    new = certificate(gateway, first, authority)
    assert certificate(gateway, second, authority) == new
    assert gateway.metric('gemma4_gateway_tls_reloads_total{result="loaded"}') == 2
    second.kill()
    third = gateway.wait_replaced(second)
    assert certificate(gateway, third, authority) == new
    assert gateway.ask(third).status_code == 200
    assert gateway.stop() == 0


def test_two_gateways_of_two_workers_count_one_key(start: Started, redis: RedisServer) -> None:
    """By Redis all four together; without it, each gateway its own two."""
    args = ("--key-requests-per-minute", "6")
    env = {"GEMMA4_GATEWAY_LIMITS_REDIS": redis.patient_url}
    gateways = [start(*args, env=env) for _ in range(2)]
    turns = [(gateway, worker) for gateway in gateways for worker in gateway.workers]
    found = [gateway.ask(worker).status_code for gateway, worker in (*turns, *turns[:2])]
    assert found == [200] * 6
    for gateway, worker in turns:
        reply = gateway.ask(worker)
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "requests_per_minute")
        assert gateway.metric("gemma4_gateway_limits_shared") == 1
    redis.kill()
    second = gateways[1]
    found = [second.ask(worker).status_code for worker in second.workers * 3]
    assert found == [200] * 4 + [429] * 2, "it has had two of six, and has not forgotten them"
    wait_until(lambda: second.metric("gemma4_gateway_limits_shared") == 0, 10)
    assert all(gateway.stop() == 0 for gateway in gateways)
