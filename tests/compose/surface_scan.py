"""What a composed stack shows to others and lets its containers do, by the kernel's own word and by
trying, against the tables of docs/security.md."""

from __future__ import annotations

import json
import socket
import subprocess
from pathlib import Path

from checks import Checks, podman
from gemma4_testing.surface.places import ANYWHERE, CONTAINERS, LISTENERS, PUBLISHED, Container
from gemma4_testing.surface.triton_endpoints import GRPC, HTTP, Access
from project import Project

__all__ = ["scan"]

LISTENS, LOOPBACK = "0A", ("0100007F", "00000000000000000000000001000000")
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
FILTERED = "2"
"""Seccomp in /proc/PID/status: a filter."""
CONNECT = """
import concurrent.futures, json, socket, sys
def reached(place):
    try:
        socket.create_connection(place, 2).close()
        return True
    except OSError:
        return False
places = [tuple(p) for p in json.loads(sys.argv[1])]
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print(json.dumps([p for p, yes in zip(places, pool.map(reached, places)) if yes]))
"""
ASK = """
import grpc, http.client, json, sys
asked, found = json.loads(sys.argv[1]), {}
for method, path in asked["http"]:
    connection = http.client.HTTPConnection("triton", 8000, timeout=30)
    connection.request(method, path, b"{}" if method == "POST" else None)
    found[method + " " + path] = connection.getresponse().status == 403
with grpc.insecure_channel("triton:8001") as channel:
    for method in asked["grpc"]:
        call = channel.unary_unary("/inference.GRPCInferenceService/" + method)
        try:
            call(b"", timeout=30)
            found[method] = False
        except grpc.RpcError as error:
            found[method] = "This protocol is restricted" in error.details()
print(json.dumps(found))
"""


def scan(check: Checks, project: Project, services: set[str], image: str) -> None:
    """Of the ``services`` that are up; ``image`` has Python, for a look from each network."""
    for container in CONTAINERS:
        if container.service in services:
            _inside(check, project, container)
    _published(check, project, services)
    _networks(check, project, services, image)
    _endpoints(check, project)


def _processes(project: Project, service: str) -> list[int]:
    done = podman("top", project.containers()[service], "hpid")
    return [int(x) for x in done.stdout.split()[1:]]


def _inside(check: Checks, project: Project, container: Container) -> None:
    service = container.service
    pids = _processes(project, service)
    expected = {p.port for p in PUBLISHED if p.service == service}
    found = _listening(pids[0], loopback=False)
    check(f"{service}: listens at {sorted(found)}", found == expected, expected)
    inner = _listening(pids[0], loopback=True) - found
    most = sum(x.port == 0 for x in LISTENERS) if service == "triton" else 0  # llama.cpp's
    check(f"{service}: at its own loopback alone: {sorted(inner)}", len(inner) == most)
    wrong = {pid: why for pid in pids if (why := _unlike(pid, container.user))}
    check(f"{service}: {len(pids)} processes of {container.user} without capabilities, privileges "
          "or a way around seccomp", bool(pids) and not wrong, wrong)  # fmt: skip
    written = _written(project, service, pids[0])
    allowed = {*container.writes, *ANYWHERE}
    check(f"{service}: may write to {sorted(written)}",
          set(container.writes) <= written <= allowed, sorted(allowed))  # fmt: skip


def _listening(pid: int, *, loopback: bool) -> set[int]:
    """Return the TCP ports, and those of UDP sockets that are bound, in the process's network. The
    name server of the container engine is not in it."""
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            bound = fields[3] == LISTENS if kind.startswith("tcp") else fields[2].endswith(":0000")
            if bound and (loopback or address not in LOOPBACK):
                found.add(int(port, 16))
    return found


def _unlike(pid: int, user: str) -> str:
    """Return what of a process is not as it should be; "" too for one that has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    uid, gid = user.split(":")
    right = (
        set(fields["Uid"].split()) == {uid}
        and set(fields["Gid"].split()) == {gid}
        and all(int(fields[name], 16) == 0 for name in _CAPABILITIES)
        and fields["NoNewPrivs"] == "1"
        and fields["Seccomp"] == FILTERED
    )
    return "" if right else text


def _written(project: Project, service: str, pid: int) -> set[str]:
    """Return the mount points that a process of the container could make a file in."""
    points = set()
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields = line.split()
        if "rw" in fields[5].split(","):
            points.add(fields[4])
    found = set()
    for point in sorted(points):
        probe = f"{point.rstrip('/')}/.probe"
        made = project.exec(service, "sh", "-c", f"touch {probe} && rm -f {probe}")
        if made.returncode == 0:
            found.add(point)
    return found


def _published(check: Checks, project: Project, services: set[str]) -> None:
    """On the loopback of this machine, and at none of its other addresses."""
    ports = {}
    for service in services:
        for line in podman("port", project.containers()[service]).stdout.splitlines():
            ports[line] = service
    names = {(p.service, p.port) for p in PUBLISHED if p.at}
    found = {(service, int(line.split("/")[0])) for line, service in ports.items()}
    check(f"published: {sorted(found)}",
          found == {n for n in names if n[0] in services}
          and all("-> 127.0.0.1:" in line for line in ports), ports)  # fmt: skip
    others = subprocess.check_output(["hostname", "-I"], text=True).split()
    reached = [
        (address, port)
        for address in others
        for port in (line.rsplit(":", 1)[1] for line in ports)
        if _reached(address, int(port))
    ]
    check(f"published ports are closed at {len(others)} other addresses of this machine",
          not reached, reached)  # fmt: skip


def _reached(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 2).close()
    except OSError:
        return False
    return True


def _networks(check: Checks, project: Project, services: set[str], image: str) -> None:
    """From a container that is on one network alone, by every address of every service."""
    addresses = {}
    for service in services:
        for network, settings in project.inspect(service)["NetworkSettings"]["Networks"].items():
            addresses[settings["IPAddress"]] = (service, network.removeprefix(f"{project.name}_"))
    ports = sorted({p.port for p in PUBLISHED})
    places = json.dumps([(address, port) for address in addresses for port in ports])
    for network in ("inner", "outer"):
        done = podman("run", "--rm", f"--network={project.name}_{network}", "--entrypoint=python3",
                      image, "-c", CONNECT, places)  # fmt: skip
        lines = done.stdout.strip().splitlines()
        if not check(f"a look from the network {network}", done.returncode == 0, done.stdout):
            continue
        found = {(*addresses[address], port) for address, port in json.loads(lines[-1])}
        expected = {
            (p.service, network, p.port)
            for p in PUBLISHED
            for c in CONTAINERS
            if p.service == c.service and p.service in services and network in c.networks
        }
        check(f"reached from {network}: {sorted((s, p) for s, _, p in found)}", found == expected,
              f"{sorted(found)}\nexpected {sorted(expected)}")  # fmt: skip
    for container in CONTAINERS:
        if container.service in services and container.networks == ("inner",):
            pid = _processes(project, container.service)[0]
            routes = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
            out = [r for r in routes if r.split()[1] == "00000000"]
            check(f"{container.service}: no way to other machines", not out, routes)


def _endpoints(check: Checks, project: Project) -> None:
    """Of Triton, asked from the gateway's container: it listens on other addresses than loopback."""
    endpoints = [e for group in HTTP.values() for e in group]
    methods = [m for m in GRPC if m != "ModelStreamInfer"]
    asked = json.dumps({"http": [(e.method, e.path) for e in endpoints], "grpc": methods})
    done = project.exec("gateway", "python3", "-c", ASK, asked)
    if not check("Triton's endpoints are asked", done.returncode == 0, done.stdout):
        return
    closed = json.loads(done.stdout.strip().splitlines()[-1])
    expected = {f"{e.method} {e.path}": e.access is not Access.OPEN for e in endpoints}
    expected |= {m: GRPC[m] is not Access.OPEN for m in methods}
    wrong = {name: is_closed for name, is_closed in closed.items() if expected[name] != is_closed}
    check(f"Triton from the gateway's place: {sum(closed.values())} endpoints closed, "
          f"{len(closed) - sum(closed.values())} open", closed.keys() == expected.keys()
          and not wrong, wrong)  # fmt: skip
