"""Limits that several gateways share, with a real Redis, and what becomes of them without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gemma4_gateway.errors import ApiError
from gemma4_gateway.keys import KeyEntry
from gemma4_gateway.metrics import Metrics, SharedMetrics
from gemma4_gateway.settings import Limits
from gemma4_gateway.shared.redis_limits import Lease, RedisLimits
from gemma4_serve.ports import free_port
from gemma4_testing.certificates import Authority
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before
from gemma4_testing.fakes.log_text import LogText
from gemma4_testing.servers.redis_server import RedisServer
from gemma4_testing.waiting import wait_until

PASSWORD = "correct-horse"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, password=PASSWORD)
    yield server
    server.stop()


def key(name: str = "a", **limits: Any) -> KeyEntry:
    return KeyEntry(name=name, sha256="0" * 64, **limits)


class Gateways:
    """The shared limits of some gateways, and what they log."""

    def __init__(self, url: str, count: int) -> None:
        self.log = LogText()
        self.metrics: list[SharedMetrics] = [Metrics().with_shared_limits() for _ in range(count)]
        self.limits = [
            RedisLimits(url, Limits(), metrics, self.log.log) for metrics in self.metrics
        ]

    async def __aenter__(self) -> list[RedisLimits]:
        for limits in self.limits:
            await limits.start()
        return self.limits

    async def __aexit__(self, *_: object) -> None:
        for limits in self.limits:
            await limits.stop()
        self.log.log.close()

    def errors(self, reason: str) -> float:
        value: float = self.metrics[0].errors.labels(reason)._value.get()
        return value

    @property
    def up(self) -> bool:
        return bool(self.metrics[0].up._value.get())


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


async def refused(limits: RedisLimits, entry: KeyEntry) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await limits.enter(entry)
    assert caught.value.status == 429
    return caught.value


async def entered(limits: RedisLimits, entry: KeyEntry) -> Lease:
    lease = await limits.enter(entry)
    assert lease is not None
    return lease


async def told(limits: RedisLimits) -> None:
    """Wait until Redis has heard of every end."""
    while limits._ended:
        await asyncio.sleep(0.01)


def test_gateways_share_each_limit(redis: RedisServer) -> None:
    redis.start()

    async def test() -> None:
        async with Gateways(redis.patient_url, 2) as (one, other):
            often = key("often", requests_per_minute=3)
            for limits in (one, other, one):
                await entered(limits, often)
            error = await refused(other, often)
            assert error.code == "requests_per_minute"
            assert 15 <= int(error.headers()["retry-after"]) <= 20
            few = key("few", max_running=2)
            lease, _ = await entered(one, few), await entered(other, few)
            assert (await refused(one, few)).code == "max_running"
            one.leave(lease, tokens=5)
            await told(one)
            await entered(other, few)
            much = key("much", tokens_per_minute=600)
            lease = await entered(one, much)
            one.leave(lease, tokens=1200)
            await told(one)
            error = await refused(other, much)
            assert error.code == "tokens_per_minute"
            assert 55 <= int(error.headers()["retry-after"]) <= 61
            assert await one.enter(key("free")) is None  # nothing to count, nothing is asked

    run(test)


def test_many_at_once_get_exactly_what_there_is(redis: RedisServer) -> None:
    redis.start()

    async def test() -> None:
        gateways = Gateways(redis.patient_url, 4)
        async with gateways as all_of_them:
            entry = key(requests_per_minute=50, max_running=30)
            found = await asyncio.gather(
                *(limits.enter(entry) for limits in all_of_them for _ in range(20)),
                return_exceptions=True,
            )
            leases = [lease for lease in found if isinstance(lease, Lease)]
            assert len(leases) == 30
            assert {e.code for e in found if isinstance(e, ApiError)} == {"max_running"}

    run(test)


def test_nothing_stays_in_redis(redis: RedisServer) -> None:
    """Each key has a time to live, which is that of a bucket that is not full."""
    redis.start()

    async def test() -> None:
        async with Gateways(redis.patient_url, 1) as (limits,):
            for number in range(20):
                entry = key(
                    f"k{number}", requests_per_minute=60, tokens_per_minute=6, max_running=3
                )
                limits.leave(await entered(limits, entry), tokens=12)
            await told(limits)
        client = redis.client()
        names = client.keys("*")
        assert isinstance(names, list) and len(names) == 20
        assert all(0 < int(client.ttl(name)) <= 190 for name in names)

    run(test)


def test_requests_of_a_gateway_that_was_killed_are_forgotten(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of one that lives are said again."""
    monkeypatch.setattr("gemma4_gateway.shared.redis_limits._KEPT_S", 1.0)
    monkeypatch.setattr("gemma4_gateway.shared.redis_limits._AGAIN_S", 0.2)
    redis.start()

    async def test() -> None:
        async with Gateways(redis.patient_url, 2) as (killed, lives):
            entry = key(max_running=2)
            await entered(killed, entry)
            await entered(lives, entry)
            for task in killed._tasks:
                task.cancel()
            await asyncio.sleep(1.5)
            await entered(lives, entry)
            await refused(lives, entry)

    run(test)


Fault = tuple[Callable[[RedisServer], None], Callable[[RedisServer], None], str]


def _nothing(_: RedisServer) -> None:
    pass


def _fill(redis: RedisServer) -> None:
    client = redis.client()
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1")


def _empty(redis: RedisServer) -> None:
    redis.client().config_set("maxmemory", "0")


def _change_password(redis: RedisServer) -> None:
    client = redis.client()
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)


def _old_password(redis: RedisServer) -> None:
    redis.password = "another"
    redis.client().config_set("requirepass", PASSWORD)
    redis.password = PASSWORD


FAULTS: dict[str, Fault] = {
    "killed": (RedisServer.kill, RedisServer.start, "connection"),
    "hanging": (RedisServer.freeze, RedisServer.thaw, "timeout"),
    "full": (_fill, _empty, "refused"),
    "another password": (_change_password, _old_password, "access"),
}
"""What happens, how it ends, and which reason is counted."""


@pytest.mark.parametrize("name", FAULTS)
def test_without_redis_nobody_is_refused_and_it_comes_back(redis: RedisServer, name: str) -> None:
    happens, ends, reason = FAULTS[name]
    redis.start()

    async def test() -> None:
        gateways = Gateways(redis.url, 1)
        async with gateways as (limits,):
            entry = key(requests_per_minute=1000, max_running=1000)
            lease = await entered(limits, entry)
            assert gateways.up
            happens(redis)
            begun = time.monotonic()
            assert await limits.enter(entry) is None
            assert time.monotonic() - begun < 5
            for _ in range(200):  # the others do not wait for it
                assert await limits.enter(entry) is None
            assert time.monotonic() - begun < 8
            assert not gateways.up
            while not gateways.errors(reason):  # a connection that is cut comes before its reason
                await asyncio.sleep(0.1)
                assert await limits.enter(entry) is None
            limits.leave(lease, tokens=7)
            ends(redis)
            while await limits.enter(entry) is None:
                await asyncio.sleep(0.05)
            assert gateways.up
            await told(limits)
        lines = gateways.log.getvalue()
        assert lines.count('"limits_not_shared"') == 1
        assert lines.count('"limits_shared"') == 2
        assert PASSWORD not in lines

    run(test)


def test_redis_that_is_not_there_at_the_start(redis: RedisServer) -> None:
    async def test() -> None:
        gateways = Gateways(redis.url, 1)
        async with gateways as (limits,):
            entry = key(requests_per_minute=1000)
            assert not gateways.up
            assert await limits.enter(entry) is None
            redis.start()
            while await limits.enter(entry) is None:
                await asyncio.sleep(0.05)
            assert gateways.up

    run(test)


def test_ends_are_kept_while_redis_is_away(redis: RedisServer) -> None:
    """A key does not lose its places by it."""
    redis.start()

    async def test() -> None:
        async with Gateways(redis.url, 1) as (limits,):
            entry = key(max_running=1)
            lease = await entered(limits, entry)
            redis.freeze()
            assert await limits.enter(entry) is None
            limits.leave(lease, tokens=1)
            redis.thaw()
            await told(limits)
            while await limits.enter(entry) is None:
                await asyncio.sleep(0.05)

    run(test)


def test_two_gateways_count_one_key(redis: RedisServer) -> None:
    """Over HTTP; and one that Redis refuses has taken no place of its gateway."""
    redis.start()
    limits = Limits(key_requests_per_minute=4)
    with (
        fake_backend("good") as backend,
        gateway_before(backend.address, limits=limits, limits_redis=redis.patient_url) as one,
        gateway_before(backend.address, limits=limits, limits_redis=redis.patient_url) as other,
    ):
        found = [gateway.chat("hi").status_code for gateway in (one, other) * 2]
        assert found == [200] * 4
        reply = other.chat("hi")
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "requests_per_minute")
        assert other.gateway.gate.running == 0
        with one.http() as http:
            text = http.get("/metrics").text
        assert "gemma4_gateway_limits_shared 1.0" in text
        redis.kill()
        assert other.chat("hi").status_code == 200  # by its own limits it has had two
        wait_until(lambda: "limits_not_shared" in other.log.getvalue(), 5)
        assert other.chat("hi").status_code == 200
        assert other.chat("hi").status_code == 429


@pytest.mark.parametrize(("query", "seconds"), [("", 0.5), ("?socket_timeout=0.1", 0.1)])
def test_redis_has_as_long_as_its_url_says(redis: RedisServer, query: str, seconds: float) -> None:
    redis.start()

    async def test() -> None:
        async with Gateways(f"{redis.url}{query}", 1) as (limits,):
            redis.freeze()
            begun = time.monotonic()
            assert await limits.enter(key(requests_per_minute=10)) is None
            assert seconds <= time.monotonic() - begun < seconds + 5
            redis.thaw()

    run(test)


@pytest.mark.parametrize(
    ("query", "shared"),
    [
        ("", False),
        ("&ssl_ca_certs={ca}", True),
        ("&ssl_cert_reqs=none", True),
        ("&ssl_cert_reqs=none&ssl_check_hostname=false", True),
    ],
)
def test_redis_over_tls(redis: RedisServer, tmp_path: Path, query: str, shared: bool) -> None:
    """A certificate that nobody vouches for is refused; ``ssl_...`` says who does, or that none has
    to."""
    authority, port = Authority(tmp_path), free_port()
    files = authority.issue()
    redis.start(
        "--tls-port", str(port), "--tls-cert-file", str(files.certfile), "--tls-key-file",
        str(files.keyfile), "--tls-ca-cert-file", str(authority.ca_file), "--tls-auth-clients", "no",
    )  # fmt: skip
    url = f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?socket_timeout=20"

    async def test() -> None:
        gateways = Gateways(url + query.format(ca=authority.ca_file), 1)
        async with gateways as (limits,):
            assert gateways.up == shared
            lease = await limits.enter(key(requests_per_minute=10))
            assert (lease is not None) == shared

    run(test)
