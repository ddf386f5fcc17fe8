"""Ports, logs, finding Triton."""

from __future__ import annotations

import io
import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.manifest import read_manifest
from gemma4_serve.banner import banner
from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import grpc_form, http_form, in_url
from gemma4_serve.install import find_repository, find_triton
from gemma4_serve.logs import LogPump
from gemma4_serve.ports import Ports, claim_ports
from gemma4_serve.process import ServerOptions
from gemma4_serve.runtime_checks import check_runtime
from gemma4_testing.engine_folders.trtllm_folder import make_folder


def test_free_ports_are_different() -> None:
    ports = claim_ports("127.0.0.1", Ports(0, 0, 0))
    assert len({ports.http, ports.grpc, ports.metrics}) == 3


@pytest.mark.parametrize("host", ["::1", "[::1]", "localhost"])
def test_ports_of_other_addresses(host: str) -> None:
    assert claim_ports(host, Ports(0, 0, 0)).http > 0


def test_a_port_in_use_on_ipv6() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"cannot listen on \[::1\]:{port}: "):
            claim_ports("::1", Ports(port, 0, 0))


@pytest.mark.parametrize(
    ("host", "url", "grpc", "http"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1", "0.0.0.0", "0.0.0.0"),
        ("localhost", "localhost", "localhost", "localhost"),
        ("::1", "[::1]", "[::1]", "ipv6:::1"),
        ("[::1]", "[::1]", "[::1]", "ipv6:::1"),
        ("::", "[::1]", "[::]", "ipv6:::"),
        ("2001:db8::7", "[2001:db8::7]", "[2001:db8::7]", "ipv6:2001:db8::7"),
    ],
)
def test_a_host_in_each_form(host: str, url: str, grpc: str, http: str) -> None:
    assert (in_url(host), grpc_form(host), http_form(host)) == (url, grpc, http)


def test_ports_in_use_are_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"--grpc-port {port}.*process {os.getpid()} has it"):
            claim_ports("127.0.0.1", Ports(0, port, 0))
    with pytest.raises(ServeError, match="--http-port"):
        claim_ports("203.0.113.9", Ports(0, 0, 0))


def test_a_system_triton_is_preferred(tmp_path: Path) -> None:
    system = tmp_path / "opt"
    for program in ("bin/tritonserver", "backends/python/triton_python_backend_stub"):
        file = system / program
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\nexit 1\n")
        file.chmod(0o755)
    found = find_triton(tmp_path / "run", system=system)
    assert (found.binary, found.embedded) == (system / "bin" / "tritonserver", False)


def test_the_wheels_triton(tmp_path: Path) -> None:
    found = find_triton(tmp_path, system=tmp_path / "none")
    assert found.embedded and found.binary.is_file()
    assert (found.backends / "python" / "triton_python_backend_stub").is_file()
    assert (find_repository() / "engine" / "1" / "model.py").is_file()


def test_log_lines() -> None:
    lines: list[Any] = []
    pump = LogPump("json", verbose=False, write=lines.append)
    pump.line('{"event":"request","request_id":"r"}')
    pump.line('I1124 13:01:19.991370 3005 metrics.cc:770] "Collecting CPU metrics"')
    pump.line("W1124 13:01:19.991243 3005 metrics.cc:798] DCGM unable to start: no")
    pump.line("E1124 13:01:19.991243 3005 x.cc:1] \"failed to load 'engine': why\\n\\nAt:\\n x\"")
    first, second = map(json.loads, lines)
    assert first["request_id"] == "r"
    assert second["level"] == "error"
    assert pump.last_words() == "failed to load 'engine': why"


def test_request_lines_for_people() -> None:
    lines: list[Any] = []
    record = {
        "event": "request",
        "request_id": "r1",
        "key": "k",
        "status": "OK",
        "finish_reason": "stop",
        "prompt_tokens": 5,
        "completion_tokens": 10,
        "decode_s": 0.1,
        "ttft_s": 0.012,
    }
    pump = LogPump("text", verbose=False, write=lines.append)
    pump.line(json.dumps(record))
    pump.line(json.dumps(record | {"status": "CANCELLED", "message": "gone"}))
    assert lines == [
        "request r1 stop 5+10 tokens, first after 12 ms, 100 tokens/s",
        "request r1 CANCELLED: gone",
    ]


def test_a_terminal_obeys_no_client() -> None:
    lines: list[Any] = []
    pump = LogPump("text", verbose=True, write=lines.append)
    evil = "id\n\x1b[2Jrequest x stop\x9b\u2028\u202e"
    record = {"event": "request", "request_id": evil, "key": "k", "status": "CANCELLED"}
    pump.line(json.dumps(record | {"message": evil}))
    pump.line(json.dumps({"event": evil, evil: evil}))
    pump.line(f"W1124 13:01:19.991243 3005 x.cc:1] {evil}")
    pump.line(evil)
    pump.line('{"a": ' * 100_000)
    pump.line('["' + evil)
    assert all(line.isprintable() for line in lines) and len(lines) == 6


def test_the_pump_reads_on_whatever_a_line_breaks() -> None:
    lines = []

    def write(line: Any) -> None:
        lines.append(line)
        if "bad" in line:
            raise RuntimeError("no place")

    pump = LogPump("json", verbose=True, write=write)
    pump.run(io.StringIO('bad\n{"event": "good"}\n' + "x" * 200_000 + "\nlast\n"))
    assert "last" in lines[-1] and '{"event": "good"}' in lines
    assert "bad" in pump.last_words() and "last" in pump.last_words()


def test_checks_of_tensorrt_llm(checkpoint: Path, tmp_path: Path) -> None:
    folder = make_folder(checkpoint, tmp_path / "engine")
    manifest = read_manifest(folder)

    def options(**changes: Any) -> Any:
        fixed: dict[str, Any] = {
            "engine": folder,
            "repository": folder,
            "run_dir": folder,
            "host": "127.0.0.1",
        }
        return ServerOptions(**fixed, ports=Ports(1, 2, 3), **changes)

    check_runtime(options(gpu_device_ids="0;1"), manifest)
    shown = banner(options(gpu_device_ids="0;1"), manifest, seconds=1.0)
    assert "4 slots, 2 copies of the model on GPUs 0;1" in shown and "Warning" not in shown
    assert re.search(r"^  model    \S+: 6 layers, 8 experts, \d+ MB of weights$", shown, re.M)
    assert re.search(r"^  OpenAI:  \S+ gateway --backend 127.0.0.1:2$", shown, re.M)
    assert "Warning: too old" in banner(options(), manifest, seconds=1.0, warning="too old")
    for changes, says in (
        ({"gpu_device_ids": "0,1"}, "tensor_parallel_size"),
        ({"threads": 2}, "--threads"),
        ({"slots": 3}, "max_batch_size: 2 is less"),
    ):
        with pytest.raises(ServeError, match=says):
            check_runtime(options(**changes), manifest)
    other = manifest.model_copy(update={"runtime": "llama_cpp"})
    with pytest.raises(ServeError, match="uses no GPU"):
        check_runtime(options(gpu_device_ids="0"), other)
