"""What a real stack shows to others is what docs/security.md says, and no more: ports, endpoints,
files, sockets and shared memory of `gemma4 serve` and `gemma4 gateway`."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from gemma4_gateway.access_log import Log
from gemma4_gateway.app import create_app
from gemma4_gateway.gateway import Gateway
from gemma4_gateway.settings import Settings
from gemma4_serve.install import find_triton
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import GEMMA4, Command
from gemma4_testing.servers.process_tree import find_process
from gemma4_testing.servers.running_gateway import MODEL, RunningGateway
from gemma4_testing.surface.gateway_paths import WITHOUT_KEY, paths_of
from gemma4_testing.surface.places import BUILD, GATEWAY, PLACES, SERVE, Place
from gemma4_testing.surface.scan import Seen, listening, new_paths, snapshot, unix_sockets
from gemma4_testing.surface.triton_endpoints import (
    GRPC,
    HTTP,
    OTHER_SERVERS,
    Access,
    Endpoint,
    patterns_of,
)
from gemma4_testing.waiting import wait_until
from tritonclient.grpc import service_pb2, service_pb2_grpc

SHM = Path("/dev/shm")
NOBODY = 65534
ENDPOINTS = [endpoint for each in HTTP.values() for endpoint in each]
RESTRICTED = "This protocol is restricted"
PLATFORM = {"AIP_MODE": "PREDICTION", "AIP_HTTP_PORT": "18080", "AIP_HEALTH_ROUTE": "/h",
            "AIP_PREDICT_ROUTE": "/p", "SAGEMAKER_TRITON_DEFAULT_MODEL_NAME": "gemma4"}  # fmt: skip
"""What a pod on Google's or Amazon's platform has; Triton opens a port for the first."""


class Triton(Command):
    def __init__(self, engine: Path, env: dict[str, str], *args: str) -> None:
        super().__init__(
            "serve", "--engine", str(engine), "--http-port", "0", "--grpc-port", "0",
            "--metrics-port", "0", *args, env=env,
        )  # fmt: skip
        self.http, self.grpc = self.banner_port("HTTP"), self.banner_port("gRPC")
        self.ports = {self.http, self.grpc, self.banner_port("metrics")}


@dataclass
class Stack:
    triton: Triton
    gateway: RunningGateway
    roots: dict[str, Path]
    key: str
    seen: list[Seen]


def rooted(root: Path) -> dict[str, Path]:
    (run,) = (root / "tmp").glob("gemma4-run-*")
    return {"run": run, "shm": SHM, "tmp": root / "tmp", "home": root / "home",
            "engine": root / "engine", "store": root / "store", "keys": root / "keys"}  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # Not pytest's folder, whose path is too long for a socket, and which is this user's alone.
    root = Path(tempfile.mkdtemp(prefix="surface-", dir="/tmp"))
    root.chmod(0o755)
    before = snapshot(root, SHM)
    for name in ("tmp", "home", "store", "keys"):
        (root / name).mkdir()
    old = os.umask(0o022)  # as a shell has it: what is private is so by itself
    env = {"TMPDIR": str(root / "tmp"), "HOME": str(root / "home"), **PLATFORM}
    try:
        synthetic_engine(root / "engine", tokens_per_s=100, slots=4)
        made = subprocess.run(
            [GEMMA4, "gateway", "new-key", "--name", "one", "--api-keys-file", root / "keys/keys.json"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = re.search(r"sk-gemma4-\S+", made.stdout)
        assert found is not None, made.stdout
        triton = Triton(root / "engine", env)
        gateway = RunningGateway(
            triton.grpc, env=env,
            args=("--workers", "2", "--api-keys-file", str(root / "keys/keys.json"),
                  "--response-store", str(root / "store/responses.db")),
        )  # fmt: skip
    finally:
        os.umask(old)
    with gateway.http(headers={"authorization": f"Bearer {found[0]}"}) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, 30)
        body: dict[str, Any] = {"model": MODEL, "input": "hello", "max_output_tokens": 100}
        # A stream runs while the files are looked at, so that those of a request are there.
        with client.stream("POST", "/v1/responses", json={**body, "stream": True}) as reply:
            assert reply.status_code == 200
            lines = reply.iter_lines()
            next(lines)
            seen = new_paths(before, root, SHM)
            assert any("completed" in line for line in lines)
        assert client.post("/v1/responses", json=body).status_code == 200
        seen += [s for s in new_paths(before, root, SHM) if s not in seen]
    yield Stack(triton, gateway, rooted(root), found[0], seen)
    assert gateway.stop() == 0
    assert triton.stop() == 0
    assert not list((root / "tmp").iterdir())
    shutil.rmtree(root)


def test_ports(stack: Stack) -> None:
    assert {(x.process, x.address, x.port) for x in listening(stack.triton.process.pid)} == {
        ("tritonserver", "127.0.0.1", port) for port in stack.triton.ports
    }
    assert {(x.address, x.port) for x in listening(stack.gateway.process.pid)} == {
        ("127.0.0.1", stack.gateway.port)
    }


def test_unix_sockets(stack: Stack) -> None:
    """They have names in the run folder, which no other user may enter; none is abstract, which
    anybody could connect to."""
    names = unix_sockets(stack.triton.process.pid) | unix_sockets(stack.gateway.process.pid)
    assert names and all(Path(name).parent == stack.roots["run"] for name in names)


def place_of(stack: Stack, seen: Seen) -> Place | None:
    for place in PLACES:
        root = stack.roots[place.root]
        if seen.path != root and not seen.path.is_relative_to(root):
            continue
        path = seen.path.relative_to(root).as_posix()
        path = "" if path == "." else path
        kind = {"shared memory": "file"}.get(place.kind, place.kind)
        if re.fullmatch(place.pattern, path) and kind in ("any", seen.kind):
            return place
    return None


def own(stack: Stack) -> list[Seen]:
    """Without the folders that the test made for them."""
    parents = {root for name, root in stack.roots.items() if name not in ("run", "engine")}
    parents.add(stack.roots["tmp"].parent)
    return [seen for seen in stack.seen if seen.path not in parents]


def test_files(stack: Stack) -> None:
    unknown, wide, used = [], [], set()
    for seen in own(stack):
        place = place_of(stack, seen)
        if place is None:
            unknown.append((str(seen.path), seen.kind))
        elif seen.mode & ~place.mode:
            wide.append((str(seen.path), oct(seen.mode), oct(place.mode)))
        used.add(place)
    assert not unknown, "add them to gemma4_testing/surface/places.py, with who may reach them"
    assert not wide
    assert {place for place in PLACES if place.start in (SERVE, GATEWAY, BUILD)} <= used


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed: run it as root")
def test_another_user_reaches_what_the_table_says(stack: Stack) -> None:
    """By trying: read and write every path, as the user nobody."""
    script = (
        'for p in "$@"; do [ -e "$p" ] || continue; r=-; w=-; '
        'if [ -f "$p" ]; then (exec 3<"$p") 2>/dev/null && r=r; else [ -r "$p" ] && r=r; fi; '
        '[ -w "$p" ] && w=w; echo "$r$w $p"; done'
    )
    paths = [str(seen.path) for seen in own(stack)]
    ran = subprocess.run(
        ["sh", "-c", script, "sh", *paths], user=NOBODY, group=NOBODY, extra_groups=[],
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    tried = 0
    for line in ran.stdout.splitlines():
        rights, _, path = line.partition(" ")
        (seen,) = [s for s in own(stack) if str(s.path) == path][:1]
        place = place_of(stack, seen)
        assert place is not None and rights[1] == "-", line
        assert rights[0] == "-" or place.mode & 0o004, line
        tried += 1
    assert tried  # the engine folder; the run folder is closed, so nothing in it even exists


def ask(port: int, endpoint: Endpoint, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = b"{}" if endpoint.method == "POST" else None
    connection.request(endpoint.method, endpoint.path, body, headers or {})
    reply = connection.getresponse()
    return reply.status, reply.read()


def call(port: int, method: str, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    """Call a method with an empty message; what is wrong with it, in words."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        asked = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
        kind = getattr(service_pb2, asked.methods_by_name[method].input_type.name)
        try:
            if method == "ModelStreamInfer":
                return str(
                    [x.error_message for x in stub.ModelStreamInfer(iter([kind()]), timeout=30)]
                )
            getattr(stub, method)(kind(), timeout=30, metadata=metadata)
        except grpc.RpcError as error:
            return str(error)
    return ""


def test_every_endpoint_is_in_the_table(tmp_path: Path) -> None:
    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    assert {method.name for method in service.methods} == GRPC.keys()
    found = patterns_of(find_triton(tmp_path).binary)
    assert found - OTHER_SERVERS.keys() == HTTP.keys()
    for pattern, endpoints in HTTP.items():
        for endpoint in endpoints:
            assert re.fullmatch(pattern, endpoint.path)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_http_endpoints(stack: Stack, endpoint: Endpoint) -> None:
    status, body = ask(stack.triton.http, endpoint)
    assert (status == 403) is (endpoint.access is Access.CLOSED), (status, body[:300])
    if endpoint.method == "GET" and endpoint.access is not Access.CLOSED:
        assert status == 200, body[:300]


@pytest.mark.parametrize("method", GRPC)
def test_grpc_endpoints(stack: Stack, method: str) -> None:
    assert (RESTRICTED in call(stack.triton.grpc, method)) is (GRPC[method] is Access.CLOSED)


def test_the_command_line_tells_nobody_how_to_open_them(stack: Stack) -> None:
    """Others on the machine can read tritonserver's arguments."""
    triton = find_process(stack.triton.process.pid, lambda p: p.name() == "tritonserver")
    values = {}
    for argument in triton.cmdline():
        if found := re.fullmatch(r"--(http|grpc)-restricted-\w+=[^:]+:(.+)=(\w+)", argument, re.S):
            values[found[1]] = (found[2], found[3])
    assert values.keys() == {"http", "grpc"}
    name, value = values["http"]
    for spelled in {re.sub(r"\s", other, name) for other in ("", "-", "_", "%0A")} | {
        name.split()[-1]
    }:
        for endpoint in ENDPOINTS:
            if endpoint.access is Access.CLOSED:
                assert ask(stack.triton.http, endpoint, {spelled: value})[0] == 403
    # As it stands there: two lines of a head, of which the second is a header of another name.
    head = f"GET /v2/logging HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{name}: {value}\r\n\r\n"
    assert b" 200 " not in raw(stack.triton.http, head.encode()).split(b"\n")[0]
    name, value = values["grpc"]
    for key in (name.lower(), f"triton-grpc-protocol-{name.lower()}"):
        for method, access in GRPC.items():
            if access is Access.CLOSED:
                assert RESTRICTED in call(stack.triton.grpc, method, ((key, value),))


def raw(port: int, data: bytes) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.sendall(data)
        received = b""
        try:
            while piece := sock.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
    return received or b"\n"


@pytest.fixture(scope="module")
def remote(stack: Stack) -> Iterator[Triton]:
    """As in Compose and in the chart."""
    started = Triton(
        stack.roots["engine"], {}, "--host", "0.0.0.0", "--allow-remote-embedded-triton"
    )
    yield started
    assert started.stop() == 0


def test_on_other_addresses_models_are_not_shown(remote: Triton) -> None:
    # gRPC makes every address of 0.0.0.0, those of IPv6 too.
    assert {(x.address, x.port) for x in listening(remote.process.pid)} == {
        ("::" if port == remote.grpc else "0.0.0.0", port) for port in remote.ports
    }
    for endpoint in ENDPOINTS:
        status, _ = ask(remote.http, endpoint)
        assert (status == 403) is (endpoint.access is not Access.OPEN), endpoint
    for method, access in GRPC.items():
        assert (RESTRICTED in call(remote.grpc, method)) is (access is not Access.OPEN), method


def test_paths_of_the_gateway(stack: Stack) -> None:
    app = create_app(Gateway(Settings(), Log("json")))
    found = {path for _, path in paths_of(app)}
    assert WITHOUT_KEY.keys() <= found
    with stack.gateway.http() as client:
        for method, path in paths_of(app):
            real = re.sub(r"\{\w+(:path)?\}", "x", path)
            real = f"{path}/x" if path in ("/ui", "/docs") else real  # folders
            status = client.request(method, real, json={} if method == "POST" else None).status_code
            assert (status == 401) is (path not in WITHOUT_KEY), (method, path, status)
        for path in (
            "/v2",
            "/v2/health/ready",
            "/debug",
            "/admin",
            "/v1",
            "/.env",
            "/ui/../v1/models",
        ):
            assert client.get(path).status_code in (401, 404), path
    with stack.gateway.http(headers={"x-api-key": stack.key}) as client:
        assert client.get("/v1/models").status_code == 200
        assert json.loads(client.get("/v1/models").text)["data"]
