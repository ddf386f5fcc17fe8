"""The wheel of llama.cpp opens an HTTP service. It is on loopback, and nobody has its key."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_runtime.engines.base import EngineInfo
from gemma4_runtime.engines.llama_cpp.loading import load_server
from gemma4_runtime.manifest import read_manifest
from gemma4_testing.surface.places import LISTENERS

PATHS = (
    "/v1/models", "/models", "/props", "/slots", "/metrics", "/v1/chat/completions", "/tokenize",
    "/lora-adapters", "/api/tags", "/api/show", "/completion", "/embedding", "/infill",
)  # fmt: skip


def listening() -> set[tuple[str, int]]:
    found = psutil.Process().net_connections(kind="tcp")
    return {(c.laddr.ip, c.laddr.port) for c in found if c.status == psutil.CONN_LISTEN}


@pytest.fixture(scope="module")
def address(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    folder = tmp_path_factory.mktemp("listener") / "e"
    request = BuildRequest(
        checkpoint=checkpoint, out=folder, precision="int8", slots=2, max_total_tokens=256,
        skip_verify=True,
    )  # fmt: skip
    build_engine(request, SilentReporter())
    manifest = read_manifest(folder)
    assert manifest.llama_cpp is not None
    before = listening()
    info = EngineInfo("llama_cpp", "", "int8", 2, 0, 256, 0)
    server = load_server(folder / "model.gguf", info, manifest.llama_cpp, 1)
    (found,) = listening() - before
    yield found
    del server


def asked(address: tuple[str, int], method: str, path: str) -> int:
    data = b"{}" if method == "POST" else None
    request = urllib.request.Request(
        f"http://{address[0]}:{address[1]}{path}", data, {"accept-encoding": "gzip"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_is_in_the_table(address: tuple[str, int]) -> None:
    (row,) = [x for x in LISTENERS if x.port == 0]
    assert address[0] == row.address == "127.0.0.1"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_answers_nobody(address: tuple[str, int], method: str, path: str) -> None:
    assert asked(address, method, path) == 401


def test_it_has_no_page_and_tells_that_it_lives(address: tuple[str, int]) -> None:
    assert asked(address, "GET", "/health") == 200
    assert asked(address, "GET", "/") in (401, 404)
    assert asked(address, "GET", "/index.html") in (401, 404)
