"""Endpoints that nobody needs are closed on a real server; those that tools need are open."""

from __future__ import annotations

import http.client
import json
import subprocess
from pathlib import Path

import pytest
import tritonclient.grpc
from gemma4_testing.servers.command import GEMMA4
from gemma4_testing.servers.served import Served
from tritonclient.utils import InferenceServerException

CLOSED_HTTP = [
    ("GET", "/v2/logging"), ("POST", "/v2/logging"), ("GET", "/v2/logging?x"),
    ("GET", "/v2/trace/setting"), ("POST", "/v2/trace/setting"),
    ("POST", "/v2/models/gemma4/trace/setting"), ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/x/register"), ("POST", "/v2/systemsharedmemory/unregister"),
    ("GET", "/v2/cudasharedmemory/status"), ("POST", "/v2/cudasharedmemory/region/x/register"),
    ("POST", "/v2/repository/index"), ("POST", "/v2/repository/models/gemma4/load"),
    ("POST", "/v2/repository/models/engine/unload"), ("POST", "/v2/./repository/index"),
]  # fmt: skip
OTHER_SPELLINGS = ["/v2//logging", "/v2/logging/", "/v2/%6cogging", "//v2/logging", "/V2/logging"]
OPEN_HTTP = ["/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/gemma4",
             "/v2/models/gemma4/config", "/v2/models/gemma4/stats", "/v2/models/gemma4/ready"]  # fmt: skip
CLOSED_GRPC = {
    "get_log_settings": (), "get_trace_settings": (), "get_system_shared_memory_status": (),
    "get_cuda_shared_memory_status": (), "get_model_repository_index": (),
    "update_log_settings": ({"log_file": "/tmp/x"},),
    "update_trace_settings": (None, {"trace_level": ["TENSORS"]}),
    "load_model": ("gemma4",), "unload_model": ("engine",),
    "register_system_shared_memory": ("x", "/x", 8), "unregister_system_shared_memory": ("x",),
    "register_cuda_shared_memory": ("x", b"", 0, 8), "unregister_cuda_shared_memory": ("x",),
}  # fmt: skip


def status(server: Served, method: str, path: Path, body: bytes = b"{}") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
    connection.request(method, path, body if method == "POST" else None)
    return connection.getresponse().status


@pytest.mark.parametrize(("method", "path"), CLOSED_HTTP)
def test_closed_over_http(server: Served, method: str, path: str) -> None:
    assert status(server, method, path) in (403, 404)


@pytest.mark.parametrize("path", OTHER_SPELLINGS)
def test_no_other_spelling_opens_them(server: Served, path: str) -> None:
    assert status(server, "GET", path) in (400, 403, 404)


@pytest.mark.parametrize("path", OPEN_HTTP)
def test_open_over_http(server: Served, path: str) -> None:
    assert status(server, "GET", path) == 200


@pytest.mark.parametrize("call", CLOSED_GRPC)
def test_closed_over_grpc(server: Served, call: str) -> None:
    with (
        tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client,
        pytest.raises(InferenceServerException, match="This protocol is restricted"),
    ):
        getattr(client, call)(*CLOSED_GRPC[call])


def test_open_over_grpc(server: Served) -> None:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
        assert client.is_server_ready()
        assert client.get_server_metadata().name == "triton"
        assert client.get_model_config("engine").config.model_transaction_policy.decoupled
        assert client.get_inference_statistics("gemma4").model_stats


def test_no_open_page_shows_a_path_of_the_server(server: Served, engines: Path) -> None:
    for path in OPEN_HTTP:
        connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
        connection.request("GET", path)
        text = connection.getresponse().read().decode()
        for part in (str(engines), str(server.run_dir), "/model_repository", "site-packages"):
            assert part not in text, json.dumps([path, part])


def test_the_embedded_server_is_not_shown_to_other_machines(engines: Path, tmp_path: Path) -> None:
    command = [str(GEMMA4), "serve", "--engine", str(engines / "synthetic"), "--host", "0.0.0.0",
               "--http-port", "0", "--grpc-port", "0", "--metrics-port", "0",
               "--run-dir", str(tmp_path)]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    words = " ".join(ran.stderr.split())
    assert "--host 0.0.0.0" in words and "--allow-remote-embedded-triton" in words
