"""A client that a forked process inherits works there, or says at once that it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest
from gemma4_testing.fakes.fake_triton import Script, chunk, server_of

HEAD = """
import asyncio, os, signal, sys
from gemma4_client import AsyncClient, Client
url = sys.argv[1]

def ask(client):
    return client.generate("x", timeout=20).result().finish_reason

async def ask_async(url):
    async with AsyncClient(url) as client:
        return (await client.generate("x", timeout=20).result()).finish_reason

def child(what):
    sys.stdout.flush()
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0, "hangs"
        return
    signal.alarm(30)
    try:
        print(what())
    except RuntimeError as error:
        print("refused:", error)
    sys.stdout.flush()
    os._exit(0)
"""
USED = """
client = Client(url)
print(ask(client))
child(lambda: ask(client))
child(lambda: client.models_ready())
child(lambda: client.close())
print(ask(client))
"""
RUNNING = """
client = Client(url)
stream = client.generate("x", timeout=20)
chunks = iter(stream)
next(chunks)
child(lambda: next(chunks))
child(lambda: stream.result())
child(lambda: stream.cancel())
child(lambda: ask(client))
child(lambda: ask(Client(url)))
child(lambda: asyncio.run(ask_async(url)))
print(sum(1 for _ in chunks))
"""
OPEN = """
async def main():
    client = AsyncClient(url)
    await client.generate("x").result()
    child(lambda: asyncio.run(client.models_ready()))
    child(lambda: asyncio.run(ask_async(url)))
    print((await client.generate("x").result()).finish_reason)
    await client.close()
asyncio.run(main())
"""
CHUNKS = [chunk(0), chunk(1, "stop")]


def run(kind: str, program: str) -> list[str]:
    with server_of(kind, Script(CHUNKS)) as (url, _):
        ran = subprocess.run(
            [sys.executable, "-c", HEAD + program, url],
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_used_client_goes_on_in_both_processes() -> None:
    assert run("http", USED) == ["stop", "stop", "True", "None", "stop"]


def test_a_client_for_grpc_stays_with_its_process() -> None:
    found = run("grpc", USED)
    assert all("client was started before the process was forked" in line for line in found[1:3])
    assert (found[0], *found[3:]) == ("stop", "None", "stop")


def test_an_answer_stays_with_the_process_that_began_it() -> None:
    """HTTP: the client itself goes on."""
    begun = "refused: this answer was started before the process was forked"
    found = run("http", RUNNING)
    assert [line.startswith(begun) for line in found[:2]] == [True, True]
    assert found[2:] == ["None", "stop", "stop", "stop", "1"]


def test_grpc_says_that_it_was_at_work() -> None:
    found = run("grpc", RUNNING)
    assert all(line.startswith("refused: this answer was started") for line in found[:2])
    assert found[2] == "None"
    assert all("forked while gRPC was at work" in line for line in found[3:6])
    assert found[6:] == ["1"]


@pytest.mark.parametrize(("kind", "new"), [("grpc", "refused: this process was"), ("http", "stop")])
def test_an_open_client_for_asyncio(kind: str, new: str) -> None:
    inherited, made, parents = run(kind, OPEN)
    assert inherited.startswith("refused: ")
    assert made.startswith(new)
    assert parents == "stop"
