"""What is asked of a stack that runs, whatever its settings are."""

from __future__ import annotations

import json
import ssl
import time
import urllib.parse
from pathlib import Path

from checks import Checks, get
from project import Project

__all__ = ["DEFAULT", "HEALTHY_S", "STOP_S", "chat", "down", "load", "prometheus",
           "prometheus_targets"]  # fmt: skip

DEFAULT = {"triton", "gateway", "prometheus", "alertmanager", "grafana"}
HEALTHY_S, STOP_S = 300, 200
JOBS = ("triton", "gateway", "prometheus", "alertmanager")
FIRST_ANSWER_S = 60
USERS = 8
"""Requests that the demo engine runs at once."""


def chat(
    check: Checks,
    port: str,
    authority: Path | None = None,
    client: Path | None = None,
    through: str = "the gateway",
) -> None:
    """Over TLS with ``authority``, which must have issued the gateway's certificate; with the
    certificate in the folder ``client``."""
    question = {
        "model": "",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
    }
    base = f"{'https' if authority else 'http'}://127.0.0.1:{port}/v1"
    trust = ssl.create_default_context(cafile=authority) if authority else None
    if trust and client:
        trust.load_cert_chain(client / "client.crt", client / "client.key")
    question["model"] = json.loads(get(f"{base}/models", context=trust)[1])["data"][0]["id"]
    began = time.monotonic()
    status, text = get(f"{base}/chat/completions", json.dumps(question).encode(), context=trust,
                       **{"Content-Type": "application/json"})  # fmt: skip
    answer = json.loads(text)["choices"][0]["message"]["content"] if status == 200 else text
    check(f"chat through {through}{', over TLS' if authority else ''}"
          f"{', with a certificate' if client else ''}: {answer!r} after "
          f"{time.monotonic() - began:.2f} s", status == 200 and "Paris" in answer, text)  # fmt: skip


def prometheus(project: Project, path: str) -> dict:
    """``data`` of an answer of Prometheus, which publishes no port: asked from the gateway's
    container. {} when it does not answer."""
    ask = (
        "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"
    )
    done = project.exec("gateway", "python3", "-c", ask, f"http://prometheus:9090/api/v1/{path}")
    return json.loads(done.stdout)["data"] if done.returncode == 0 else {}


def prometheus_targets(check: Checks, project: Project, scheme: str = "http") -> None:
    up = {}
    for _ in range(60):
        found = prometheus(project, "targets?state=active").get("activeTargets", [])
        up = {x["labels"]["job"]: x["health"] for x in found}
        if up == dict.fromkeys(JOBS, "up"):
            break
        time.sleep(1)
    urls = {x["labels"]["job"]: x["scrapeUrl"] for x in found}
    right = urls.get("gateway") == f"{scheme}://gateway:8080/metrics"
    check(f"Prometheus: {up}, {urls.get('gateway')}",
          right and up == dict.fromkeys(JOBS, "up"), found)  # fmt: skip


def load(check: Checks, project: Project, port: str, gateway: str) -> None:
    """By the buttons of locust's page, with as many users as the engine has slots: ten seconds after
    the first answer, before which the users measure the server's words."""
    done = project.compose("up", "--detach", "--no-build", "--no-recreate", profiles=("load",))
    healthy = project.wait_healthy({"locust"}, 120)
    if not check(f"profile load: healthy {healthy}", "locust" in healthy, done.stdout):
        return
    page = f"http://127.0.0.1:{port}"
    check("locust's page", "Locust" in get(page)[1])
    form = {"user_count": USERS, "spawn_rate": USERS, "host": gateway}
    began = time.monotonic()
    started = get(f"{page}/swarm", urllib.parse.urlencode(form).encode())
    while not requests(page)["num_requests"] and time.monotonic() - began < FIRST_ANSWER_S:
        time.sleep(0.5)
    first = time.monotonic() - began
    before = requests(page)["num_requests"]
    time.sleep(10)
    total = requests(page)
    get(f"{page}/stop", b"")
    found, failures = total["num_requests"] - before, total["num_failures"]
    check(f"locust, {USERS} users, {gateway}: first answer after {first:.1f} s, then {found} in 10 s, "
          f"{failures} failures, p50 {total['median_response_time']:.0f} ms",
          found >= USERS and not failures, f"{started} {total}")  # fmt: skip


def requests(page: str) -> dict:
    """What locust's page says of all requests so far; it is up to two seconds old."""
    return json.loads(get(f"{page}/stats/requests")[1])["stats"][-1]


def down(check: Checks, project: Project, profiles: tuple[str, ...], *others: str) -> None:
    """``others``: services that have to end well, beside Triton and the gateway."""
    processes = project.processes()
    codes = {}
    began = time.monotonic()
    stopped = project.compose("stop", profiles=profiles, timeout=STOP_S)
    seconds = time.monotonic() - began
    for service in ("triton", "gateway", *others):
        codes[service] = project.inspect(service)["State"]["ExitCode"]
    check(f"stop: {seconds:.0f} s, exit status {codes}", set(codes.values()) == {0}, stopped.stdout)
    done = project.compose("down", "--volumes", profiles=profiles, timeout=STOP_S)
    left = [p for p in processes if Path(f"/proc/{p}").exists()]
    check(f"down: no container, volume, network left, none of {len(processes)} processes",
          done.returncode == 0 and processes != set() and not left and not project.leftovers(),
          f"{left} {project.leftovers()} {done.stdout}")  # fmt: skip
