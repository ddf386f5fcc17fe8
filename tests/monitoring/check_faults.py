"""Faults of a real server and gateway, and metrics of a small exporter, through a real Prometheus
and Alertmanager: the alerts named here arrive, and end. The other alerts have no such test yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.alerting import Alerting, free_port
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.served import Served

PATIENCE_S = 150.0


class Stack:
    """A server with two slots and a gateway, on ports that stay the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        synthetic_engine(folder / "engine", tokens_per_s=50, slots=2)
        self._ports = [free_port() for _ in range(3)]
        self._gateway_port = free_port()
        self.serve()
        self.gateway = RunningGateway(self._ports[1], args=("--port", str(self._gateway_port)))
        (folder / "monitoring").mkdir()
        self.alerting = Alerting(
            folder / "monitoring", {"triton": [self._ports[2]], "gateway": [self._gateway_port]}
        )

    def serve(self) -> None:
        names = ("--http-port", "--grpc-port", "--metrics-port")
        ports = [x for pair in zip(names, map(str, self._ports), strict=True) for x in pair]
        self.served = Served(
            self._folder / "engine", self._folder / "run", "--max-queued", "4", *ports
        )

    def kill_server(self) -> None:
        for process in [*psutil.Process(self.served.process.pid).children(recursive=True)]:
            process.kill()
        self.served.process.kill()
        self.served.process.wait()

    def ask(self, seconds: float, **more: object) -> None:
        end = time.monotonic() + seconds
        with httpx.Client(base_url=self.gateway.url, timeout=60, verify=False) as client:
            while time.monotonic() < end:
                client.post("/v1/chat/completions", json=chat(**more))  # type: ignore[arg-type]
                time.sleep(0.05)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("alerts"))
    yield made
    made.alerting.close()
    made.gateway.stop()
    made.served.stop()


def test_more_requests_than_slots_and_queue_hold(stack: Stack) -> None:
    wanted = {("Gemma4OverloadRefusals", "page")}
    with ThreadPoolExecutor(16) as pool:
        for _ in range(16):
            pool.submit(stack.ask, 40, max_tokens=40)
        stack.alerting.wait(wanted, "firing", PATIENCE_S)
    stack.alerting.wait(wanted, "resolved", PATIENCE_S)


def test_the_server_is_killed(stack: Stack) -> None:
    """Requests fail meanwhile; which of its symptoms arrive as well is not looked at."""
    stack.kill_server()
    stack.ask(15)
    stack.alerting.wait({("Gemma4ServerDown", "page")}, "firing", PATIENCE_S)
    stack.serve()
    stack.alerting.wait({("Gemma4ServerDown", "page")}, "resolved", PATIENCE_S)


def fed(now: float, *, bad: bool) -> str:
    """Families that need a GPU, or that are not in this tree."""
    skipped, passed = ',result="skipped"', ',result="passed"'

    def of(job: str, more: str = "") -> str:
        return f'{{job="{job}",instance="fed"{more}}}'

    def end(seconds: float) -> float:
        return now + (seconds if bad else 90 * 86400)

    lines = {
        f"gemma4_last_update_timestamp_seconds{of('frozen')}": now - (600 if bad else 0),
        f"gemma4_kv_cache_usage_perc{of('kv')}": 0.99 if bad else 0,
        f"gemma4_num_requests_running{of('kv')}": 10,
        f"gemma4_slots{of('kv')}": 128,
        f"gemma4_gateway_tls_certificate_not_after_seconds{of('expired')}": end(-60),
        f"gemma4_gateway_tls_certificate_not_after_seconds{of('soon')}": end(2 * 86400),
        f"gemma4_gateway_tls_certificate_not_after_seconds{of('later')}": end(20 * 86400),
        f"gemma4_quality_gate_ok{of('gate')}": 0 if bad else 1,
        f"gemma4_quality_gate_runs_total{of('stale', skipped)}": 5,
        f"gemma4_quality_gate_runs_total{of('stale', passed)}": 0 if bad else 1,
    }  # fmt: skip
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def test_metrics_of_a_small_exporter(stack: Stack) -> None:
    wanted = {
        ("Gemma4EngineFrozen", "page"), ("Gemma4KvCacheFull", "ticket"),
        ("Gemma4CertificateExpired", "page"), ("Gemma4CertificateExpiring", "page"),
        ("Gemma4CertificateExpiring", "ticket"), ("Gemma4QualityGateFailed", "page"),
        ("Gemma4QualityGateStale", "ticket"),
    }  # fmt: skip
    for bad, status in ((True, "firing"), (False, "resolved")):
        end = time.monotonic() + PATIENCE_S
        while True:
            stack.alerting.families = fed(time.time(), bad=bad)
            if all(stack.alerting.told.get(key, [""])[-1] == status for key in wanted):
                break
            assert time.monotonic() < end, (status, stack.alerting.told)
            time.sleep(0.5)
