"""Nothing is left of answered and of abandoned requests. bench/gateway_leaks.py runs more."""

from __future__ import annotations

import asyncio

from gemma4_testing.servers.gateway_churn import Footprint, churn
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until


def test_nothing_stays(synthetic: Served) -> None:
    running = RunningGateway(synthetic.grpc)
    pid = running.process.pid

    def settled() -> Footprint:
        wait_until(synthetic.idle, 5)
        address = f"127.0.0.1:{synthetic.grpc}"
        idle = f'gemma4_gateway_backend_requests{{backend="{address}"}} 0.0'
        with running.http() as http:
            wait_until(lambda: idle in http.get("/metrics").text, 5)
            assert "gemma4_gateway_running_requests 0.0" in http.get("/metrics").text
        return Footprint.of(pid)

    asyncio.run(churn(running.port, MODEL, 450, running=30, tokens=8))
    before = settled()
    asyncio.run(churn(running.port, MODEL, 1200, running=30, tokens=8))
    after = settled()
    assert after.rss < before.rss * 1.05 + 4e6
    wait_until(lambda: Footprint.of(pid).descriptors <= before.descriptors, 5)
    assert after.threads <= before.threads
    assert running.stop() == 0
    assert "Traceback" not in running.text
