"""Back ends that are found by a DNS name: they come, go, and come back."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from gemma4_gateway.backends.backend import Backend
from gemma4_gateway.backends.discovery import Discovery
from gemma4_gateway.backends.health import HealthChecker
from gemma4_gateway.backends.names import DnsName, parse_name, resolve
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.settings import SettingsError, check_backend
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before

NAME = DnsName("triton", 8001)
NO_SUCH_NAME = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
NO_ANSWER = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class World:
    """A discovery whose resolver says ``answer``: addresses, or an exception to raise."""

    def __init__(self, *static: str) -> None:
        self.answer: list[str] | Exception = []
        self.events: list[str] = []
        self.faults: list[Exception] = []
        self.backends = [Backend(address) for address in static]
        self.metrics = Metrics()
        self.health = HealthChecker(
            self.backends, interval=60, on_change=lambda b: None, on_fault=lambda b, e: None
        )
        self.discovery = Discovery(
            [NAME], self.backends, self.health, interval=0.02,
            on_event=lambda event, **_: self.events.append(event),
            on_removed=self.metrics.forget, on_fault=self.faults.append, lookup=self.lookup,
        )  # fmt: skip

    async def lookup(self, name: DnsName) -> list[str]:
        assert name == NAME
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def says(self, *addresses: str, error: Exception | None = None) -> list[str]:
        """One round; the addresses of the back ends after it."""
        self.answer = error or list(addresses)
        await self.discovery.look(self.discovery.names[0])
        await self.discovery.close_idle()
        return [b.address for b in self.backends]

    def at(self, address: str) -> Backend:
        (found,) = (b for b in self.backends if b.address == address)
        return found


def run(scenario: Any, *static: str) -> None:
    async def go() -> None:
        world = World(*static)
        try:
            await scenario(world)
        finally:
            await world.discovery.stop()
            await world.health.stop()
            await asyncio.gather(*(b.close() for b in world.backends))
        assert world.faults == []

    asyncio.run(go())


def test_they_come_and_go() -> None:
    async def scenario(world: World) -> None:
        assert await world.says("10.0.0.1:1", "10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
        assert not any(b.ready for b in world.backends)  # until a health check passes
        kept = world.at("10.0.0.2:1")
        assert await world.says("10.0.0.2:1", "10.0.0.3:1") == ["10.0.0.2:1", "10.0.0.3:1"]
        assert world.at("10.0.0.2:1") is kept
        assert world.events.count("backend_found") == 3
        assert world.events.count("backend_left") == 1

    run(scenario)


def test_one_that_has_left_finishes_what_runs_on_it() -> None:
    async def scenario(world: World) -> None:
        await world.says("10.0.0.1:1", "10.0.0.2:1")
        gone = world.at("10.0.0.1:1")
        gone.mark(ready=True)
        lease = gone.lease()
        assert await world.says("10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
        assert not gone.ready and "no longer in DNS" in gone.reason
        world.health.check_now(gone)  # a request that fails there now wakes nobody
        assert await world.says("10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
        lease.release()
        assert await world.says("10.0.0.2:1") == ["10.0.0.2:1"]

    run(scenario)


def test_one_that_comes_back_while_something_runs_on_it_is_the_same() -> None:
    async def scenario(world: World) -> None:
        await world.says("10.0.0.1:1")
        first = world.at("10.0.0.1:1")
        lease = first.lease()
        await world.says("10.0.0.2:1")
        await world.says("10.0.0.1:1", "10.0.0.2:1")
        assert world.at("10.0.0.1:1") is first
        lease.release()
        assert sorted(await world.says("10.0.0.1:1", "10.0.0.2:1")) == ["10.0.0.1:1", "10.0.0.2:1"]

    run(scenario)


@pytest.mark.parametrize("error", [NO_ANSWER, OSError("broken"), TimeoutError("late")])
def test_a_dns_that_fails_changes_nothing(error: Any) -> None:
    async def scenario(world: World) -> None:
        await world.says("10.0.0.1:1", "10.0.0.2:1")
        world.at("10.0.0.1:1").mark(ready=True)
        assert await world.says(error=error) == ["10.0.0.1:1", "10.0.0.2:1"]
        await world.says(error=error)
        followed = world.discovery.names[0]
        assert followed.failures == 2 and followed.error
        assert world.events.count("dns_failed") == 1  # once, not each time
        await world.says("10.0.0.1:1")
        assert followed.error == "" and world.events[-2:] == ["dns_answers", "backend_left"]

    run(scenario)


def test_an_empty_name_takes_only_those_away_that_do_not_answer() -> None:
    async def scenario(world: World) -> None:
        await world.says("10.0.0.1:1", "10.0.0.2:1")
        world.at("10.0.0.1:1").mark(ready=True)
        assert await world.says(error=NO_SUCH_NAME) == ["10.0.0.1:1"]
        followed = world.discovery.names[0]
        assert (followed.failures, followed.addresses) == (0, frozenset())
        assert await world.says("10.0.0.3:1") == ["10.0.0.3:1"]

    run(scenario)


def test_an_address_that_was_given_too_is_one_back_end() -> None:
    async def scenario(world: World) -> None:
        assert await world.says("10.0.0.1:1", "10.0.0.2:1") == ["10.0.0.1:1", "10.0.0.2:1"]
        assert await world.says() == ["10.0.0.1:1"]

    run(scenario, "10.0.0.1:1")


def test_labels_of_those_that_left_are_dropped() -> None:
    async def scenario(world: World) -> None:
        await world.says("10.0.0.1:1")
        world.metrics.retries.labels("10.0.0.1:1").inc()
        world.metrics.ready.labels("10.0.0.1:1").set(1)
        assert b"10.0.0.1" in world.metrics.render()
        await world.says("10.0.0.2:1")
        assert b"10.0.0.1" not in world.metrics.render()

    run(scenario)


def test_a_lookup_that_breaks_is_logged_and_the_next_one_comes() -> None:
    async def scenario(world: World) -> None:
        world.answer = KeyError("a bug")
        task = asyncio.create_task(world.discovery.start())
        await asyncio.sleep(0.1)
        assert isinstance(world.faults[0], KeyError)
        world.faults.clear()
        world.answer = ["10.0.0.1:1"]
        await asyncio.wait_for(task, 5)
        assert [b.address for b in world.backends] == ["10.0.0.1:1"]
        world.faults.clear()

    run(scenario)


def test_the_start_does_not_wait_for_a_dns_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemma4_gateway.backends.discovery._FIRST_ROUND_S", 0.05)

    async def scenario(world: World) -> None:
        async def hang(name: DnsName) -> list[str]:
            await asyncio.sleep(60)
            return []

        world.discovery._lookup = hang
        await asyncio.wait_for(world.discovery.start(), 5)
        assert world.discovery.names[0].error == "not looked up yet"

    run(scenario)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dns:///triton:8001", DnsName("triton", 8001)),
        ("dns:triton:8001", DnsName("triton", 8001)),
        ("dns://a.b.svc.cluster.local.:1", DnsName("a.b.svc.cluster.local.", 1)),
        ("triton:8001", None),
    ],
)
def test_names(text: str, name: DnsName | None) -> None:
    assert parse_name(text) == name
    assert check_backend(text) == str(name or text)


@pytest.mark.parametrize(
    "text",
    ["dns:///triton", "dns:///:8001", "dns:///a:0", "dns:///a:65536", "dns:///a:x", "dns:",
     "dns:///a:²", "dns:///a:+1", "dns:///a:8_0", "dns:///a b:1", "dns:///a?b:1",
     "dns://8.8.8.8/a:8001", "dns:///a..b:8001", "dns:///[::1]:8001", "dns:///" + "a" * 64 + ":1"],
)  # fmt: skip
def test_wrong_names(text: str) -> None:
    with pytest.raises(SettingsError, match=r"must be dns:///NAME:PORT") as error:
        check_backend(text)
    assert text in str(error.value)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["10.0.0.2", "10.0.0.1", "10.0.0.1"], ["10.0.0.1:8001", "10.0.0.2:8001"]),
        (["fd00::1", "10.0.0.1"], ["10.0.0.1:8001"]),  # one pod with two addresses
        (["fd00::2", "fd00::1"], ["[fd00::1]:8001", "[fd00::2]:8001"]),
    ],
)
def test_which_addresses_count(
    addresses: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(*args: Any, **_: Any) -> list[Any]:
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in a], 1, 6, "", (a, 8001)) for a in addresses]

    async def go() -> list[str]:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        return await resolve(NAME)

    assert asyncio.run(go()) == expected


def test_the_systems_resolver() -> None:
    assert asyncio.run(resolve(DnsName("127.0.0.7", 81))) == ["127.0.0.7:81"]
    assert asyncio.run(resolve(DnsName("localhost", 81))) in (["127.0.0.1:81"], ["[::1]:81"])
    with pytest.raises(OSError):
        asyncio.run(resolve(DnsName("no-such-host.invalid", 81)))


def test_a_gateway_that_follows_a_name() -> None:
    """By the real resolver, to a real gRPC server."""
    with (
        fake_backend("good") as a,
        gateway_before(f"dns:///localhost:{a.port}") as gateway,
        gateway.http() as http,
    ):
        assert gateway.chat("hi").status_code == 200
        page = http.get("/health/ready").json()
        assert page["backends"][0]["address"] == a.address
        name = f"dns:///localhost:{a.port}"
        assert page["dns"] == [{"name": name, "addresses": 1, "error": None}]
        assert f'gemma4_gateway_dns_addresses{{name="{name}"}} 1.0' in http.get("/metrics").text


def test_a_gateway_whose_name_has_no_address_yet() -> None:
    with gateway_before("dns:///no-such-host.invalid:1") as gateway, gateway.http() as http:
        page = http.get("/health/ready")
        assert page.status_code == 503 and page.json()["dns"][0]["error"]
        assert "DNS has given no address" in gateway.chat("hi").json()["error"]["message"]
        assert "dns_failed" in gateway.log.getvalue()


def test_pods_that_change_under_a_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of requests sees no error while one back end takes the place of another."""
    current: list[str] = []

    async def lookup(name: DnsName) -> list[str]:
        return list(current)

    monkeypatch.setattr(Discovery.__init__, "__kwdefaults__",
                        (Discovery.__init__.__kwdefaults__ or {}) | {"lookup": lookup})  # fmt: skip
    with fake_backend("good") as a, fake_backend("good") as b:
        current[:] = [a.address]
        with gateway_before("dns:///triton:8001", dns_interval=0.1) as gateway:
            assert gateway.chat("hi").status_code == 200
            assert (len(a.requests), len(b.requests)) == (1, 0)
            current[:] = [a.address, b.address]
            end = time.monotonic() + 10
            while not all(x.ready for x in gateway.gateway.backends) or not b.requests:
                assert gateway.chat(f"hi {time.monotonic()}").status_code == 200
                assert time.monotonic() < end
            current[:] = [b.address]
            while len(gateway.gateway.backends) == 2:
                assert gateway.chat(f"hi {time.monotonic()}").status_code == 200
                assert time.monotonic() < end
            before = len(a.requests)
            assert {gateway.chat(f"hi {i}").status_code for i in range(10)} == {200}
            assert len(a.requests) == before
