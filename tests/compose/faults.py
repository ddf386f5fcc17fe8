"""Faults of a composed stack as an operator meets them, with real containers: what users see, and
how long until all is well again."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import certificates
from checks import Checks, get, podman
from project import Project
from stack import DEFAULT, HEALTHY_S
from users import Users

__all__ = ["settings", "with_faults"]

NAME = "gemma.example"
FAULT_S = 12.0
"""How long a fault lasts that does not end by itself."""
STORE_MB = 6
MOST_FILL_KB = 128 * 1024
"""Of a file system that may be filled."""
HOGS = (
    "import os, time\n"
    "for _ in range(40):\n"
    "    if os.fork() == 0:\n"
    "        kept = []\n"
    "        for _ in range(50):\n"
    "            kept.append(bytearray(os.urandom(1024)) * 1024)\n"
    "            time.sleep(0.05)\n"
    "        time.sleep(2)\n"
    "        os._exit(0)\n"
)
"""Many processes that are small beside the engine, so that Linux ends the engine."""


@dataclass(frozen=True, slots=True)
class Fault:
    """``begin`` it and, unless it is over by itself, ``end`` it. Users may see ``allowed`` (beginnings
    of :func:`users.told`) and nothing else; it is well again within ``within`` seconds after the
    end."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object] | None
    allowed: tuple[str, ...]
    within: float
    must_hurt: bool = True


UNREADY = ("503 unavailable", "503 backend_lost")
GONE = ("no answer: refused", "no answer: reset", "no answer: timed out", "no answer: ")


def settings(env: dict[str, str], folder: Path) -> dict[str, str]:
    """What .env says: TLS, a response store, and limits that a test can reach."""
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    certificates.make(folder / "tls", NAME, authority=folder / "authority")
    return {
        **env, "TLS_FOLDER": str(folder / "tls"), "TLS_NAME": NAME,
        "TLS_CA": str(folder / "tls/ca.crt"), "RESPONSE_STORE": "/gateway/responses.db",
        "CPU_MEMORY": "1500m", "CPU_TMP_SIZE": "64m", "CPU_SHM_SIZE": "128m",
    }  # fmt: skip


def small_volume(project: Project) -> None:
    """Make the gateway's volume one that a test can fill, before Compose makes it: in memory, by
    ``nr_blocks`` (tmpfs(5)), since podman takes ``size`` for a quota of the disk."""
    done = podman("volume", "create", f"--label=io.podman.compose.project={project.name}",
                  f"--label=com.docker.compose.project={project.name}", "--opt=type=tmpfs",
                  "--opt=device=tmpfs",
                  f"--opt=o=nr_blocks={STORE_MB * 256},uid=10001,gid=10001,mode=0700",
                  f"{project.name}_gateway")  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"podman volume create: {done.stdout}")


class Stack:
    """What the faults do to one project."""

    def __init__(self, project: Project, folder: Path, port: str) -> None:
        self.project, self.folder = project, folder
        self.base = f"https://127.0.0.1:{port}"
        self.trust = ssl.create_default_context(cafile=folder / "tls/ca.crt")

    def ask(self, path: str, body: dict | None = None) -> tuple[int, str]:
        data = json.dumps(body).encode() if body is not None else None
        return get(self.base + path, data, context=self.trust,
                   **{"Content-Type": "application/json"})  # fmt: skip

    def _main(self, service: str) -> int:
        return int(self.project.inspect(service)["State"]["Pid"])

    def kill(self, service: str) -> None:
        """As a crash does; ``podman kill`` would count as the operator's wish."""
        os.kill(self._main(service), signal.SIGKILL)

    def podman(self, verb: str, service: str) -> None:
        done = podman(verb, self.project.containers()[service])
        if done.returncode != 0:
            raise SystemExit(f"podman {verb} {service}: {done.stdout}")

    def link(self, state: str) -> None:
        """Of the only network that Triton is on: packets vanish, nobody is told."""
        subprocess.run(
            ["nsenter", "-t", str(self._main("triton")), "-n", "ip", "link", "set", "eth0", state],
            check=True,
        )

    def certificate(self, days: int) -> None:
        certificates.renew(self.folder / "tls", NAME, self.folder / "authority", days)

    def fill(self, service: str, file: str) -> None:
        """Fill the file system of ``file``, which must be small: never the machine's disk."""
        folder = str(Path(file).parent)
        free_kb = int(self.project.exec(service, "df", "-k", folder).stdout.split()[-3])
        if free_kb > MOST_FILL_KB:
            raise SystemExit(f"{service}: {folder} has {free_kb} KB free: not one to fill")
        done = self.project.exec(service, "dd", "if=/dev/zero", f"of={file}", "bs=4k",
                                 f"count={MOST_FILL_KB}")  # fmt: skip
        if "No space left" not in done.stdout:
            raise SystemExit(f"{file} was not filled: {done.stdout}")

    def remove(self, service: str, file: str) -> None:
        self.project.exec(service, "rm", file)

    def hogs(self) -> None:
        self.project.exec("triton", "python3", "-c", HOGS)

    def lost(self) -> int:
        """How often the supervisor replaced what was lost."""
        log = podman("logs", self.project.containers()["triton"]).stdout
        return log.count('"event": "server_lost"')

    def store(self, text: str) -> tuple[int, str]:
        body = {"model": "gemma-4", "input": text, "store": True, "max_output_tokens": 16}
        return self.ask("/v1/responses", body)


def faults(stack: Stack) -> list[Fault]:
    """In the order in which they are tried."""
    return [
        Fault("the container of Triton is killed", lambda: stack.kill("triton"), None,
              UNREADY, 90),
        Fault("the container of the gateway is killed", lambda: stack.kill("gateway"), None,
              GONE, 60),
        Fault("Triton's container is paused", lambda: stack.podman("pause", "triton"),
              lambda: stack.podman("unpause", "triton"),
              (*UNREADY, "504 deadline_exceeded", "no answer: timed out"), 90),
        Fault("the gateway's container is paused", lambda: stack.podman("pause", "gateway"),
              lambda: stack.podman("unpause", "gateway"), GONE, 30, must_hurt=False),
        Fault("Triton's container is out of memory at its limit", stack.hogs, None,
              (*UNREADY, "500 engine_lost", "500 engine_failed"), 90),
        Fault("no network between gateway and Triton", lambda: stack.link("down"),
              lambda: stack.link("up"), (*UNREADY, "no answer: timed out"), 60),
        Fault("the gateway's volume is full",
              lambda: stack.fill("gateway", "/gateway/full"),
              lambda: stack.remove("gateway", "/gateway/full"), (), 10, must_hurt=False),
        Fault("/tmp of Triton's container is full", lambda: stack.fill("triton", "/tmp/full"),
              lambda: stack.remove("triton", "/tmp/full"), (), 10, must_hurt=False),
        Fault("the certificate has ended; another one is put in its place",
              lambda: stack.certificate(0), lambda: stack.certificate(30),
              ("no answer: certificate has expired",), 20),
        Fault("Prometheus is down", lambda: stack.podman("stop", "prometheus"),
              lambda: stack.podman("start", "prometheus"), (), 10, must_hurt=False),
    ]  # fmt: skip


def run(check: Checks, stack: Stack, users: Users, fault: Fault) -> str:
    """Return a row of the table of docs/operations.md."""
    begin = time.monotonic()
    fault.begin()
    if fault.end is not None:
        time.sleep(FAULT_S)
        if "volume" in fault.name:
            full_volume(check, stack)
        fault.end()
        if "volume" in fault.name:
            status, text = stack.store("Hello")
            check("a volume with room again: responses are stored",
                  status == 200 and json.loads(text).get("store") is True, text)  # fmt: skip
    over = time.monotonic() if fault.end is not None else begin
    time.sleep(1.5)  # a kill is noticed by those who ask next
    well = users.wait_well(over + (1.0 if fault.end is None else 0.0), fault.within)
    failures = users.failures(begin)
    strange = {what: n for what, n in failures.items() if not what.startswith(fault.allowed)}
    if not fault.allowed:
        strange = dict(failures)
    hurt = bool(failures) or not fault.must_hurt
    sent = len(users.since(begin))
    check(f"{fault.name}: {dict(failures)} of {sent}, well again after "
          f"{'never' if well is None else f'{well:.0f} s'}",
          well is not None and not strange and hurt, users.since(begin))  # fmt: skip
    healthy = stack.project.wait_healthy(DEFAULT, HEALTHY_S)
    check(f"{fault.name}: all healthy afterward", healthy.keys() == DEFAULT, healthy)
    slowest = max((s.took for s in users.since(begin)), default=0.0)
    saw = ", ".join(f"{what} ({n})" for what, n in failures.most_common()) or "nothing"
    return f"| {fault.name} | {saw} | {slowest:.1f} s | {well or 0:.0f} s |"


def full_volume(check: Checks, stack: Stack) -> None:
    """What a user sees who wants a response stored: the answer, which says that it is not."""
    status, text = stack.store("Hello")
    stored = json.loads(text).get("store") if status == 200 else None
    check("full volume: a response is answered, and says that it is not stored",
          status == 200 and stored is False, text)  # fmt: skip
    log = podman("logs", stack.project.containers()["gateway"]).stdout
    check("full volume: the gateway's log says so", "response_not_stored" in log, log)


def with_faults(check: Checks, project: Project, ports: dict[str, str], folder: Path) -> None:
    """Each fault in turn, with users all the time."""
    small_volume(project)
    done = project.compose("up", "--detach", "--no-build")
    healthy = project.wait_healthy(DEFAULT, HEALTHY_S)
    if not check(f"faults: all healthy {sorted(healthy)}", healthy.keys() == DEFAULT, done.stdout):
        for service in DEFAULT - healthy.keys():
            print(service, podman("logs", project.containers()[service]).stdout[-3000:])
        return
    stack = Stack(project, folder, ports["GATEWAY_PORT"])
    body = {"model": "gemma-4", "max_tokens": 8,
            "messages": [{"role": "user", "content": "Hello"}]}  # fmt: skip
    users = Users(f"{stack.base}/v1/chat/completions", body, stack.trust)
    users.start()
    rows = []
    try:
        check("users are answered", users.wait_well(time.monotonic(), 60) is not None, users.seen)
        for fault in faults(stack):
            lost = stack.lost() if "memory" in fault.name else None
            rows.append(run(check, stack, users, fault))
            if lost is not None:
                check("out of memory: Linux ended a process of the server", stack.lost() > lost)
    finally:
        users.close()
    print("| fault | users saw | longest wait | well again after |\n|---|---|---|---|")
    print("\n".join(rows))
