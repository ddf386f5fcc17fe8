"""The tables of docs/security.md are made from gemma4_testing/surface, which tests/e2e/test_surface.py
compares with a running stack; `UPDATE_DOCS=1 pytest` on this file writes them anew."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from typing import Any

from gemma4_testing.deploy.compose_files import parse, services
from gemma4_testing.deploy.offered_options import options
from gemma4_testing.repository import ROOT
from gemma4_testing.surface.gateway_paths import WITHOUT_KEY
from gemma4_testing.surface.places import ANYWHERE, CONTAINERS, LISTENERS, PLACES, PUBLISHED
from gemma4_testing.surface.triton_endpoints import GRPC, HTTP, Access

PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- surface: made by tests/docs/test_surface_page.py -->", "<!-- end of surface -->"


def table(head: str, rows: list[tuple[Any, ...]]) -> list[str]:
    columns = head.split("|")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return [*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows), ""]


def triton_rows() -> list[tuple[str, str, str]]:
    paths: dict[Access, list[str]] = defaultdict(list)
    for endpoints in HTTP.values():
        for e in endpoints:
            if "/versions/" not in e.path and "/repository/x" not in e.path:
                path = re.sub(r"/models/(gemma4|engine)\b", "/models/M", e.path)
                paths[e.access].append(f"`{e.method} {path.replace('/region/x', '/region/R')}`")
    methods = {a: ", ".join(f"`{m}`" for m, access in GRPC.items() if access is a) for a in Access}
    return [
        (access.value, methods[access], ", ".join(dict.fromkeys(paths[access])))
        for access in Access
    ]


def made() -> str:
    lines = [
        "### Ports on one machine", "",
        *table("start|port|what|bound to|who reaches it|what a client must show", [
            (f"`{x.start}`", x.port or "a free one", x.what, x.address, x.reach, x.wants) for x in LISTENERS]),
        "`gemma4 serve --health-port N` opens one more, on its `--host`: whether the server lives and is",
        "ready, and why not. It can be read only, and asks for nothing. The Helm chart opens 8003.", "",
        "`gemma4 load`, `chat`, `build`, `plan`, `template` and `doctor` open no port.", "",
        "### Ports of docker-compose.yml", "",
        *table("service|port|what|on the host|what a client must show", [
            (x.service, x.port, x.what, x.at or "not published: the other services only", x.wants)
            for x in PUBLISHED]),
        "### Containers of docker-compose.yml", "",
        "On the network `inner` alone, a container reaches the services of this project and nothing",
        "else; on `outer`, none but those with a published port. No process has a capability or can",
        "get privileges, all are under the engine's seccomp filter, and the root is read-only.", "",
        *table("service|user and group|networks|may write to", [
            (c.service, c.user, ", ".join(c.networks), ", ".join(f"`{w}`" for w in c.writes))
            for c in CONTAINERS]),
        "All of them may also write to:", "",
        *(f"* `{path}`: {what}" for path, what in ANYWHERE.items()), "",
        "### Endpoints of Triton", "",
        *table("answered to|gRPC methods|HTTP", triton_rows()),
        "### Paths of the gateway without a key", "",
        "All others want a key where there are keys. With `--ssl-cert-reqs 1` those without a",
        "certificate have `/health` and `/ping` alone, with 2 nothing.", "",
        *table("path|shows", [(f"`{p}`", what) for p, what in WITHOUT_KEY.items()]),
        "### Files, sockets and shared memory", "",
        *table("start|where|path|kind|at most|what|who reads it|who changes it", [
            (f"`{p.start}`", p.root, f"`{p.pattern.replace('|', chr(92) + '|') or '.'}`", p.kind,
             f"{p.mode:04o}", p.what, p.reach, p.change) for p in PLACES]),
    ]  # fmt: skip
    return "\n".join(lines)


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert rest and after
    whole = f"{before}{BEGIN}\n\n{made()}\n{END}{after}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(whole, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == whole


def test_the_ports_are_the_commands_defaults() -> None:
    serve, gateway = options("serve"), options("gateway")
    found = {x.what: (x.address, x.port) for x in LISTENERS}
    for what, option in (("HTTP", "http"), ("gRPC", "grpc"), ("metrics", "metrics")):
        assert found[f"Triton's {what}"] == (serve["host"].default, serve[f"{option}_port"].default)
    assert (gateway["host"].default, gateway["port"].default) in found.values()


def test_the_ports_of_compose_are_those_of_the_file() -> None:
    published = {
        f"{name} {port}" for name, s in services("*").items() for port in s.get("ports", ())
    }
    assert published == {f"{x.service} {x.at}:{x.port}" for x in PUBLISHED if x.at}
    inner = {(x.service, x.port) for x in PUBLISHED if not x.at}
    commands = {name: parse(services("*")[name]["command"]) for name in ("triton", "triton-2")}
    workers = {
        (name, int(service["environment"]["DYN_SYSTEM_PORT"]))
        for name, service in services("*").items()
        if name.startswith("dynamo-worker")
    }
    assert inner == workers | {("prometheus", 9090)} | {
        (name, command[port])
        for name, command in commands.items()
        for port in ("http_port", "grpc_port", "metrics_port")
    }
    opens = {"engine-build", "engine-build-cpu", "doctor"}  # commands that end
    assert {x.service for x in PUBLISHED} == services("*").keys() - opens


def test_containers_are_those_of_the_file() -> None:
    found = services("*")
    ended = {"engine-build", "engine-build-cpu", "doctor"}  # commands that end
    assert {c.service for c in CONTAINERS} == found.keys() - ended
    for container in CONTAINERS:
        service = found[container.service]
        mounts = [m for m in service.get("volumes", []) if isinstance(m, str)]
        targets = {m.split(":")[1] for m in mounts if not m.endswith(":ro")}
        targets |= {mount.partition(":")[0] for mount in service.get("tmpfs", [])}
        assert targets == set(container.writes), container.service
        assert tuple(service["networks"]) == container.networks
        assert service["user"] == container.user
