"""Two servers and two gateways that are well: nobody is told anything."""

from __future__ import annotations

import time
from functools import partial

from gemma4_testing.alerts.engines import Engines
from gemma4_testing.alerts.load import client, going_on, streamed
from gemma4_testing.alerts.world import Server, World

__all__ = ["NAMESPACE", "roll"]

NAMESPACE = "healthy"
MOST_AWAY_S = 19.0
"""Seconds that a server may be away: 10 minutes, made faster, are 20."""
_BEFORE_S, _AFTER_S = 60.0, 15.0


def roll(world: World, engines: Engines) -> Server:
    """Start them, let four clients stream for a minute, then drain and start each of the servers
    again, and a gateway, while the clients go on. Return one of the servers. Raises AssertionError
    for any alert, and when the machine needs too long to start a server for this to mean much."""
    servers = [world.server(NAMESPACE, engines.wide) for _ in range(2)]
    gateways = [world.gateway(NAMESPACE, tuple(s.grpc for s in servers)) for _ in range(2)]
    away = []
    with client(gateways[0].url) as http, going_on(partial(streamed, http, max_tokens=50), 4):
        time.sleep(_BEFORE_S)
        for server in servers:
            began = time.monotonic()
            server.drain()
            server.start()
            away.append(time.monotonic() - began)
            time.sleep(3)  # a roll-out waits until the gateway finds it ready
        gateways[1].drain()
        gateways[1].start()
        time.sleep(_AFTER_S)
    told, firing = world.alerting.told(NAMESPACE), world.alerting.firing(NAMESPACE)
    assert not told and not firing, f"{told}, {firing}; servers were away for {away} s"
    assert max(away) < MOST_AWAY_S, f"too slow a machine: servers were away for {away} s"
    return servers[0]
