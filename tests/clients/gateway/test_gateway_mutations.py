"""Many requests that are nearly right, and somebody beside them whose requests are."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from gemma4_gateway.plain_text import escaped
from gemma4_testing.cases.error_forms import error_of
from gemma4_testing.cases.gateway_mutations import mutated
from gemma4_testing.fakes.canary import Canary
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fuzz_count import fuzz_count
from gemma4_testing.servers.running_gateway import RunningGateway

HANG_S = 30
REQUESTS = fuzz_count(600)
CANARY_P99_S = 1.0
SENDERS = 4


class Sender(threading.local):
    connection: http.client.HTTPConnection | None = None


def send(sender: Sender, port: int, number: int, model: str) -> str:
    """The status; "hang", or "broken" and why, for none."""
    request = mutated(number, model)
    if sender.connection is None:
        sender.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_S)
    try:
        sender.connection.request("POST", request.path, request.body, request.headers)
        reply = sender.connection.getresponse()
        data = reply.read()
    except TimeoutError:
        sender.connection = None
        return "hang"
    except OSError as error:
        sender.connection = None
        # What is too large is refused while it is still being sent.
        if len(request.body) > 4 << 20:
            return "413"
        return "431" if len(str(request.headers)) > 65_536 else f"broken: {error!r}"
    if reply.will_close:
        sender.connection.close()
        sender.connection = None
    if reply.status >= 400:
        told = error_of(request.path, json.loads(data))
        assert told["message"] == escaped(told["message"]), (number, told)
        assert len(told["message"]) < 2500, number
        assert "Traceback" not in told["message"], number
    return str(reply.status)


def storm(port: int, model: str, count: int) -> Counter[str]:
    """Statuses of requests 0 to ``count`` - 1."""
    sender = Sender()
    with ThreadPoolExecutor(SENDERS) as pool:
        return Counter(pool.map(lambda n: send(sender, port, n, model), range(count)))


def test_mutated_requests(capsys: pytest.CaptureFixture[str]) -> None:
    with fake_backend("good") as backend:
        running = RunningGateway(backend.port, args=("--served-model-name", "m"))
        with Canary(running.port) as canary:
            statuses = storm(running.port, "m", REQUESTS)
        p99 = canary.quantile(0.99)
        summary = f"{dict(statuses)}, canary p50 {canary.quantile(0.5):.3f} p99 {p99:.3f} s"
        with capsys.disabled():
            print(f"\n{REQUESTS} mutated requests: {summary}, {len(canary.seconds)} canaries")
        assert running.stop() == 0
    assert not canary.wrong, canary.wrong[:5]
    assert p99 < CANARY_P99_S, summary
    bad = {s for s in statuses if s.startswith(("hang", "broken", "5"))}
    faults = [line for line in running.output if '"event":"fault"' in line]
    assert not bad, (summary, faults[:3])
    assert statuses["200"] > REQUESTS / 20 and statuses["400"] > REQUESTS / 20, summary
    assert "Traceback" not in running.text
    assert '"event":"fault"' not in running.text
