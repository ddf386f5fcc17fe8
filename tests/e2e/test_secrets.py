"""Keys and tokens are on no command line, in no log and in no file that a command writes: each
command runs with secrets in its environment and files, and is looked at while it does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from gemma4_gateway.keys import new_key
from gemma4_gateway.settings import TlsFiles
from gemma4_testing.certificates import Authority
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.process_tree import tree
from gemma4_testing.servers.redis_server import RedisServer
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.waiting import wait_until

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "load_tests" / "locustfile.py"


@dataclass
class World:
    server: Served
    gateway: RunningGateway
    authority: Authority
    files: TlsFiles
    folder: Path
    env: dict[str, str]
    secrets: set[str]
    seen: set[str] = field(default_factory=set)


def line_of(pem: Path) -> str:
    """A line that only this file has."""
    return pem.read_text().splitlines()[2]


def arguments(root: int) -> set[str]:
    found = set()
    for process in tree(root):
        with suppress(psutil.Error):
            found.add("\0".join(process.cmdline()))
    return found


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_engine(tmp_path_factory.mktemp("engine") / "e", tokens_per_s=100, slots=8)


@pytest.fixture(scope="module")
def world(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("secrets")
    authority = Authority(folder / "ca")
    files, client = authority.issue(), authority.issue("client")
    key, password = new_key(), new_key()
    redis = RedisServer(folder, password=password)
    redis.start()
    keys = subprocess.run(
        [GEMMA4, "gateway", "new-key", "--name", "x", "--api-keys-file", folder / "keys.json"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    from_file = next(word for word in keys if word.startswith("sk-gemma4-"))
    env = {
        "GEMMA4_GATEWAY_API_KEY": key, "GEMMA4_LOAD_API_KEY": key, "OPENAI_API_KEY": key,
        "HF_TOKEN": "hf_" + new_key()[10:44].replace("-", "x"),
        "GEMMA4_LOAD_CLIENT_CERT": str(client.certfile), "GEMMA4_LOAD_CLIENT_KEY": str(client.keyfile),
        "SSL_CERT_FILE": str(authority.ca_file), "GEMMA4_GATEWAY_LIMITS_REDIS": redis.url,
    }  # fmt: skip
    assert files.keyfile is not None and client.keyfile is not None
    secrets = {key, password, from_file, env["HF_TOKEN"]}
    secrets |= {line_of(files.keyfile), line_of(client.keyfile)}
    server = Served(engine, folder / "run", env=env)
    gateway = RunningGateway(
        server.grpc, env=env,
        args=("--api-keys-file", str(folder / "keys.json"), "--ssl-certfile", str(files.certfile),
              "--ssl-keyfile", str(files.keyfile), "--ssl-ca-certs", str(authority.ca_file),
              "--key-requests-per-minute", "1000", "--log-format", "json",
              "--response-store", str(folder / "store.db")),
    )  # fmt: skip
    made = World(server, gateway, authority, files, folder, env, secrets)
    context = authority.client(client)
    wrong = new_key()
    made.secrets.add(wrong)
    with httpx.Client(base_url=gateway.url, verify=context, timeout=60) as http:
        for good in (key, from_file):
            for headers in ({"authorization": f"Bearer {good}"}, {"x-api-key": good}):
                reply = http.post("/v1/chat/completions", json=chat(max_tokens=2), headers=headers)
                assert reply.status_code == 200
                assert http.get("/nothing", headers=headers).status_code == 404
                assert (
                    http.post("/v1/responses", json={"model": 1}, headers=headers).status_code
                    == 400
                )
        for headers in ({"authorization": f"Bearer {wrong}"}, {"authorization": f"Basic {wrong}"},
                        {"x-api-key": wrong}, {"cookie": wrong}, {"x-request-id": "a b"}):  # fmt: skip
            assert http.get("/v1/models", headers=headers).status_code == 401
        redis.stop()
        again = {"authorization": f"Bearer {key}"}
        reply = http.post("/v1/chat/completions", json=chat(max_tokens=2), headers=again)
        assert reply.status_code == 200
        wait_until(lambda: "limits_not_shared" in gateway.text, 10)
    yield made
    assert gateway.stop() == 0
    assert server.stop() == 0


def none_in(world: World, text: str, what: str) -> None:
    for secret in world.secrets:
        assert secret not in text, f"a secret is in {what}"


def test_the_servers(world: World) -> None:
    for command in (world.server, world.gateway):
        found = arguments(command.process.pid)
        assert any("gemma4" in text for text in found)
        none_in(world, "\n".join(found), "a command line")
        none_in(world, command.text, "a log")
    assert "401" in world.gateway.text  # it says that, and of which request


COMMANDS = {
    "load": ["load", "--url", "{gateway}/v1", "--requests", "4", "--concurrency", "2", "--output-tokens",
             "4", "--prompt-tokens", "20", "--warmup", "0", "--out", "{folder}/results"],
    "build": ["build", str(ROOT / "demo" / "checkpoint"), "--runtime", "synthetic", "--out", "{folder}/engine"],
    "doctor": ["doctor", "--engine", "{engine}", "--report", "{folder}/doctor.json"],
    "chat": ["chat", "--url", "127.0.0.1:{grpc}", "--once", "hello", "--max-tokens", "4"],
    "plan": ["plan", "memory", "--gpu", "h100"],
    "locust": ["-f", str(LOCUSTFILE), "OpenAIUser", "--headless", "-u", "1", "-t", "2s", "--host",
               "{gateway}/v1", "--output-tokens", "4"],
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_the_other_commands(world: World, name: str, engine: Path) -> None:
    words = [
        word.format(
            gateway=world.gateway.url, folder=world.folder, engine=engine,
            grpc=world.server.grpc,
        )
        for word in COMMANDS[name]
    ]  # fmt: skip
    program = [sys.executable, "-m", "locust"] if name == "locust" else [str(GEMMA4)]
    process = subprocess.Popen(
        [*program, *words], env=os.environ | world.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=world.folder,
    )  # fmt: skip
    found: set[str] = set()
    while process.poll() is None:
        found |= arguments(process.pid)
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.returncode in ((0, 1) if name == "doctor" else (0, 3)), said[-2000:]
    assert found
    none_in(world, "\n".join(found), "a command line")
    none_in(world, said, "what it prints")


def test_what_was_written(world: World) -> None:
    """After the commands above: results, reports, engine, run folder, store, but for the files that
    the keys came from."""
    own = {world.files.keyfile, world.folder / "ca" / "client.key"}
    looked_at = 0
    for path in world.folder.rglob("*"):
        if path.is_file() and path not in own:
            none_in(world, path.read_bytes().decode("latin-1"), str(path))
            looked_at += 1
    assert looked_at > 5
