"""The Helm chart's probes and preStop commands, run as the kubelet runs them against real servers.

Taken from the rendered YAML as they are, but for addresses, the engine and shorter graces."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from gemma4_serve.ports import free_port
from gemma4_testing.deploy.rendered_chart import CPU, GPU, container_of
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import Command
from gemma4_testing.servers.process_tree import find_process

TOKENS_PER_S = 20
GRACE_S = 4


class Pod:
    """A container of the chart as a process here. ``ports``: those of the chart to those here."""

    def __init__(
        self, name: str, command: str, ports: dict[int, int], args: dict[str, str]
    ) -> None:
        self.pod, self.container = container_of(name, command)
        self.ports = ports
        changed = [args.get(a.split("=")[0], a) for a in self.container["args"][1:]]
        for flag in ("--engine", "--host"):
            if flag in changed:
                changed[changed.index(flag) + 1] = args.get(flag + " ", "127.0.0.1")
        self.command = Command(*changed, until="")

    def probe(self, kind: str) -> bool:
        """One run of a probe: an HTTP answer from 200 to 399, or a command that ends with 0."""
        probe = self.container[kind]
        if "exec" in probe:
            args = probe["exec"]["command"]
            for old, new in self.ports.items():
                args = [a.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}") for a in args]
            done = subprocess.run(args, capture_output=True, timeout=probe["timeoutSeconds"] * 4)
            return done.returncode == 0
        port = next(p for p in self.container["ports"] if p["name"] == probe["httpGet"]["port"])
        url = f"http://127.0.0.1:{self.ports[port['containerPort']]}{probe['httpGet']['path']}"
        try:
            with urllib.request.urlopen(url, timeout=probe["timeoutSeconds"]) as reply:
                return bool(200 <= reply.status < 400)
        except OSError:
            return False

    def patience(self, kind: str) -> float:
        """Seconds for which a probe may fail before the kubelet acts."""
        probe = self.container[kind]
        return float(probe["periodSeconds"] * probe["failureThreshold"])

    def pre_stop(self) -> float:
        """Run it; seconds that it took."""
        started = time.monotonic()
        subprocess.run(self.container["lifecycle"]["preStop"]["exec"]["command"], check=True)
        return time.monotonic() - started

    @property
    def margin(self) -> float:
        """Seconds that Kubernetes grants beyond preStop and the chart's own grace."""
        grace = next(a for a in self.container["args"] if a.startswith("--grace="))
        sleep = int(self.container["lifecycle"]["preStop"]["exec"]["command"][1])
        return float(self.pod["terminationGracePeriodSeconds"] - sleep) - int(grace.split("=")[1])


def until(condition: Callable[[], bool], timeout: float) -> float:
    """Ask now and then, since a probe may start a process; seconds until true."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout, f"not within {timeout} s"
        time.sleep(0.3)
    return time.monotonic() - started


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("helm") / "engine"
    made: Path = synthetic_engine(folder, tokens_per_s=TOKENS_PER_S, slots=16)
    return made


@contextmanager
def triton(name: str, engine: Path) -> Iterator[Pod]:
    http, grpc, metrics, health = (free_port() for _ in range(4))
    ports = {8000: http, 8001: grpc, 8002: metrics, 8003: health}
    args = {
        "--http-port": f"--http-port={http}", "--grpc-port": f"--grpc-port={grpc}",
        "--metrics-port": f"--metrics-port={metrics}",
        "--health-port": f"--health-port={health}", "--grace": f"--grace={GRACE_S}",
        "--engine ": str(engine),
    }  # fmt: skip
    pod = Pod(name, "serve", ports, args)
    try:
        yield pod
    finally:
        pod.command.stop()


@contextmanager
def gateway(name: str, backend: int) -> Iterator[Pod]:
    port = free_port()
    ports = {8080: port}
    args = {
        "--port": f"--port={port}", "--host": "--host=127.0.0.1", "--grace": f"--grace={GRACE_S}",
        "--backend": f"--backend=dns:///localhost:{backend}", "--dns-interval": "--dns-interval=0.2",
    }  # fmt: skip
    pod = Pod(name, "gateway", ports, args)
    try:
        yield pod
    finally:
        pod.command.stop()


def chat(pod: Pod, tokens: int, results: list[Any]) -> None:
    """Through the gateway; its finish reason, or its error's code."""
    body = {
        "model": "gemma-4-demo", "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": tokens, "min_tokens": tokens,
    }  # fmt: skip
    url = f"http://127.0.0.1:{pod.ports[8080]}/v1"
    with httpx.Client(timeout=120, verify=False) as http:
        body["model"] = http.get(f"{url}/models").json()["data"][0]["id"]
        reply = http.post(f"{url}/chat/completions", json=body).json()
    error = reply.get("error")
    results.append(error["code"] if error else reply["choices"][0]["finish_reason"])


def run_beside(pod: Pod, tokens: int) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=chat, args=(pod, tokens, results))
    thread.start()
    return thread, results


def running(pod: Pod) -> float:
    url = f"http://127.0.0.1:{pod.ports[8080]}/metrics"
    text = urllib.request.urlopen(url, timeout=5).read().decode()
    line = next(x for x in text.splitlines() if x.startswith("gemma4_gateway_backend_requests{"))
    return float(line.split()[-1])


def start(server: Pod, front: Pod) -> None:
    """Not ready before the engine answers. The gateway lives meanwhile, but is not ready either."""
    assert not server.probe("startupProbe")
    until(lambda: front.probe("startupProbe"), front.patience("startupProbe"))
    assert front.probe("livenessProbe") and not front.probe("readinessProbe")
    took = until(lambda: server.probe("startupProbe"), 120)
    assert took < server.patience("startupProbe")
    until(lambda: server.probe("readinessProbe"), 15)  # the supervisor asks Triton too
    assert server.probe("livenessProbe")
    until(lambda: front.probe("readinessProbe"), 15)
    results: list[Any] = []
    chat(front, 2, results)
    assert results == ["length"]


def test_a_lost_server_is_back_before_the_kubelet_would_act(engine: Any) -> None:
    """Probes by a command inside the pod; then the end of the gateway, and of an idle Triton."""
    with triton(CPU, engine) as server, gateway(CPU, server.ports[8001]) as front:
        start(server, front)
        parent = psutil.Process(server.command.process.pid)
        find_process(parent.pid, lambda p: "tritonserver" in p.name()).kill()
        lost = time.monotonic()
        until(lambda: not server.probe("readinessProbe"), 15)
        until(lambda: server.probe("livenessProbe") and server.probe("readinessProbe"), 120)
        assert time.monotonic() - lost < server.patience("livenessProbe") / 2
        assert parent.is_running()
        until(lambda: front.probe("readinessProbe"), 15)

        # During preStop it takes requests as before.
        pre_stop = threading.Thread(target=front.pre_stop)
        pre_stop.start()
        time.sleep(0.5)
        results: list[Any] = []
        chat(front, 2, results)
        assert results == ["length"] and front.probe("readinessProbe")
        pre_stop.join()

        # Then what runs is finished, or cut off when the grace is over.
        finished, finished_result = run_beside(front, 2 * TOKENS_PER_S)
        cut, cut_result = run_beside(front, 60 * TOKENS_PER_S)
        until(lambda: running(front) == 2, 15)
        assert end(front) == 0
        finished.join()
        cut.join()
        assert finished_result == ["length"] and cut_result == ["draining"]
        assert end(server) == 0


def test_triton_drains_within_its_grace_period(engine: Any) -> None:
    """Probes over HTTP. An answer that is longer than the grace is cut, and the pod ends in time."""
    with triton(GPU, engine) as server, gateway(GPU, server.ports[8001]) as front:
        start(server, front)
        sleep = int(server.container["lifecycle"]["preStop"]["exec"]["command"][1])
        assert sleep <= server.pre_stop() < sleep + 2
        finished, finished_result = run_beside(front, 2 * TOKENS_PER_S)
        cut, cut_result = run_beside(front, 100 * TOKENS_PER_S)
        until(lambda: running(front) == 2, 15)
        assert end(server) == 3  # stopped, and an answer was cut off
        finished.join()
        cut.join()
        assert finished_result == ["length"] and cut_result != ["length"]


def end(pod: Pod) -> int:
    """SIGTERM: not ready at once, and gone within the grace and what Kubernetes grants beyond.
    The exit status."""
    assert pod.probe("readinessProbe")
    os.kill(pod.command.process.pid, signal.SIGTERM)
    asked = time.monotonic()
    until(lambda: not pod.probe("readinessProbe"), 3)
    status = pod.command.process.wait(60)
    assert time.monotonic() - asked <= GRACE_S + pod.margin
    return status
