"""Two servers and two gateways that are well: nobody is told anything."""

from __future__ import annotations

import time
from functools import partial

from gemma4_testing.alerts.load import client, going_on, streamed
from gemma4_testing.alerts.scene_processes import Gateway, Server
from gemma4_testing.alerts.world import Stack
from gemma4_testing.servers.alerting import FACTOR
from gemma4_testing.waiting import wait_until

__all__ = ["roll"]

MOST_AWAY_S = 600 / FACTOR - 1
"""Seconds that a server may be away: 10 minutes, made faster."""
_BEFORE_S, _AFTER_S = 60.0, 20.0


def roll(stack: Stack) -> None:
    """Start them, let four clients stream for a minute, then drain and start each of the servers
    and gateways again, while the clients go on. As a load balancer does it, they have left a
    gateway before it drains. Raises AssertionError for any alert, and when the machine needs too
    long to start a server for this to mean much."""
    servers = [stack.server(stack.engines.wide) for _ in range(2)]
    gateways = first, second = [stack.gateway(*(s.grpc for s in servers)) for _ in range(2)]
    ask = partial(streamed, max_tokens=50)
    away = []

    def restart(each: Server | Gateway) -> None:
        began = time.monotonic()
        each.drain()
        each.start()
        away.append(time.monotonic() - began)
        wait_until(
            lambda: all(gateway.ready_backends() == 2 for gateway in gateways), 60,
            "a gateway does not find both servers", every=0.2,
        )  # fmt: skip

    with client(first.url) as http, going_on(partial(ask, http), 4):
        time.sleep(_BEFORE_S)
        for server in servers:
            restart(server)
        restart(second)
    with client(second.url) as http, going_on(partial(ask, http), 4):
        restart(first)
        time.sleep(_AFTER_S)
    told, firing = stack.alerting.told(stack.namespace), stack.firing()
    assert not told and not firing, f"{told}, {firing}; each was away for {away} s"
    assert max(away) < MOST_AWAY_S, f"too slow a machine: each was away for {away} s"
