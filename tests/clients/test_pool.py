"""Connections of a gRPC client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest
from gemma4_client.transport.grpc_pool import Pool
from gemma4_testing.fakes.both_clients import KINDS, client_of
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of
from gemma4_testing.waiting import wait_until


class Channel:
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def unary_stream(self, **_: Any) -> Callable[..., Any]:
        return lambda message: self.calls.append(message) or message


def test_streams_are_spread_and_given_back() -> None:
    ends = []
    pool = Pool(Channel, lambda _, then: ends.append(then))
    for number in range(120):
        pool.start(number)
    assert sorted(len(channel.calls) for channel in pool.channels) == [20, 50, 50]
    assert pool.streams == 120
    for end in ends:
        end()
    assert pool.streams == 0
    pool.start("one more")
    assert pool.first.calls[-1] == "one more"
    assert len(pool.channels) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_more_streams_than_a_connection_takes(kind: str) -> None:
    """Triton would let the 101st wait unseen until another ends."""
    with server_of("grpc", Script([chunk(0)], hang=True)) as (url, seen):
        port = int(url.rpartition(":")[2])
        with client_of(kind, url, retry=None, breaker=None) as client:
            streams = [client.generate("x", stream=False) for _ in range(60)]
            wait_until(lambda: seen.count == 60, 10)
            assert connections(port) == 2
            for stream in streams:
                stream.cancel()
            wait_until(seen.gone.is_set, 10)
    assert connections(port) == 0


def connections(port: int) -> int:
    """Of this process, as a client."""
    found = psutil.Process().net_connections("tcp")
    return sum(bool(c.raddr) and c.raddr.port == port for c in found)
