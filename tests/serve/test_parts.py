"""Ports, finding Triton, the banner."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime.manifest import read_manifest
from gemma4_serve import ports as ports_module
from gemma4_serve.banner import banner
from gemma4_serve.errors import ServeError
from gemma4_serve.hosts import grpc_form, http_form, in_url
from gemma4_serve.install import find_repository, find_triton
from gemma4_serve.ports import Ports, claim_ports, free_port
from gemma4_serve.process import ServerOptions
from gemma4_serve.runtime_checks import check_runtime
from gemma4_testing.engine_folders.trtllm_folder import make_folder


def test_free_ports_are_different() -> None:
    ports = claim_ports("127.0.0.1", Ports(0, 0, 0))
    assert len({ports.http, ports.grpc, ports.metrics}) == 3


OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_free_port_is_none_that_a_connection_could_take_before_triton_listens() -> None:
    lowest = int(OUTGOING.read_text().split()[0])
    for host in ("127.0.0.1", "::1", "0.0.0.0"):
        ports = claim_ports(host, Ports(0, 0, 0, 0))
        assert all(10_000 <= port < lowest for port in vars_of(ports))
        assert 10_000 <= free_port(host) < lowest


def vars_of(ports: Ports) -> list[int]:
    return [port for field in fields(ports) if (port := getattr(ports, field.name)) is not None]


def test_a_port_that_somebody_has_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports_module, "_quiet_ports", lambda: [port, port])
        assert free_port() != port


@pytest.mark.parametrize("said", [None, "", "x y", "1024 60999", "10010 60999"])
def test_any_free_port_where_the_system_leaves_none(
    said: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As other systems do, and machines that open very many connections."""
    file = tmp_path / "range"
    if said is not None:
        file.write_text(said)
    monkeypatch.setattr(ports_module, "_OUTGOING", file)
    assert len(set(vars_of(claim_ports("127.0.0.1", Ports(0, 0, 0))))) == 3


def test_a_host_of_another_machine_has_no_free_port() -> None:
    with pytest.raises(OSError, match="assign"):
        free_port("192.0.2.1")


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
        ("localhost", "127.0.0.1", "127.0.0.1", "127.0.0.1"),
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
