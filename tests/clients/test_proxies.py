"""A proxy of the environment is not asked for a server on this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from gemma4_client.address import is_loopback, parse_address
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.repository import ROOT, SOURCES, name_of

NAMES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "grpc_proxy")


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    """A proxy that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        yield dict.fromkeys(NAMES, f"http://127.0.0.1:{port}")


def run(program: str, env: dict[str, str], *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, timeout=240, env=dict(sys_env(), **env),
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def sys_env() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.lower() != "no_proxy"}


@pytest.mark.parametrize("name", ["Client", "AsyncClient"])
def test_grpc(env: dict[str, str], name: str) -> None:
    program = {
        "Client": "import sys, gemma4_client as g\n"
        "print(g.Client(sys.argv[1]).chat('hi', timeout=20).result().text)",
        "AsyncClient": "import asyncio, sys, gemma4_client as g\n"
        "async def main():\n"
        "    async with g.AsyncClient(sys.argv[1]) as client:\n"
        "        print((await client.chat('hi').result()).text)\n"
        "asyncio.run(asyncio.wait_for(main(), 20))",
    }[name]
    with fake_backend("good") as backend:
        assert run(program, env, f"localhost:{backend.port}")


HTTP = """
import sys, threading, http.server
class Triton(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    do_POST = do_GET
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Triton)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://localhost:{server.server_port}"
"""


@pytest.mark.parametrize(
    "ask",
    [
        "import gemma4_client; print(gemma4_client.Client(url).models_ready())",
        "from gemma4_load.targets.blocking import BlockingHttp\n"
        "print(BlockingHttp(url, timeout=20)._http.get('/').is_success)",
        "from gemma4_runtime.local_http import open_local\n"
        "print(open_local(url, timeout=20).status == 200)",
    ],
    ids=["SDK", "locust", "serve"],
)
def test_http(env: dict[str, str], ask: str) -> None:
    assert run(HTTP + ask, env) == "True"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("[::1]", True), ("localhost", True),
     ("a.localhost", True), ("10.0.0.1", False), ("localhost.example", False), ("triton", False)],
)  # fmt: skip
def test_which_hosts_are_here(host: str, local: bool) -> None:
    assert is_loopback(host.strip("[]")) == local
    assert parse_address(f"grpc://{host}:1").local == local


def test_nothing_asks_a_server_of_this_machine_by_a_proxy() -> None:
    """``urlopen`` obeys the environment, which Docker and Kubernetes may fill too."""
    product = ("runtime", "serve", "cli", "clients", "load_tests")
    paths = [path for path in SOURCES if name_of(path).partition("/")[0] in product]
    paths += [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    paths.append(ROOT / "docker-compose.yml")
    assert not [name_of(path) for path in paths if b"urlopen(" in path.read_bytes()]
