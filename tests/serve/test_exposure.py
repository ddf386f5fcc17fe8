"""Which addresses the embedded Triton may listen on, and which endpoints are closed."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_serve.errors import ServeError
from gemma4_serve.exposure import (
    ALLOW_REMOTE,
    CLOSED,
    INSPECTION,
    check_host,
    closing_arguments,
    inspected,
    without_platforms,
)
from gemma4_serve.install import TritonInstall
from gemma4_serve.links import Links

EMBEDDED = TritonInstall(
    Path("bin"), Path("backends"), {}, embedded=True, links=Links(Path("links"))
)
SYSTEM = TritonInstall(
    Path("bin"), Path("backends"), {}, embedded=False, links=Links(Path("links"))
)
REMOTE = ["0.0.0.0", "::", "192.0.2.1", "255.255.255.255", "", "no such host", "x" * 300, "2001:db8::1"]  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_loopback_is_fine(host: str) -> None:
    check_host(EMBEDDED, host, allow_remote=False)


@pytest.mark.parametrize("host", REMOTE)
def test_the_embedded_server_stays_on_this_machine(host: str) -> None:
    with pytest.raises(ServeError) as caught:
        check_host(EMBEDDED, host, allow_remote=False)
    for word in (f"--host {host}", "docs/security.md", "gemma4 gateway", "image", ALLOW_REMOTE):
        assert word in str(caught.value)
    check_host(EMBEDDED, host, allow_remote=True)
    check_host(SYSTEM, host, allow_remote=False)


def test_each_start_has_a_secret_of_its_own() -> None:
    first, second = closing_arguments(inspection=True), closing_arguments(inspection=True)
    assert not set(first) & set(second)
    for argument in first:
        flag, _, value = argument.partition("=")
        assert flag in ("--http-restricted-api", "--grpc-restricted-protocol")
        endpoints, _, header = value.partition(":")
        assert endpoints.split(",") == list(CLOSED)
        assert len(header.partition("=")[2]) == 32


def test_what_clients_need_stays_open() -> None:
    assert not {"inference", "health", "metadata"} & {*CLOSED, *INSPECTION}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", *REMOTE])
@pytest.mark.parametrize("asked", [None, True, False])
def test_who_may_look_at_models(host: str, asked: bool | None) -> None:
    expected = (host not in REMOTE) if asked is None else asked
    assert inspected(host, asked) is expected
    for argument in closing_arguments(inspection=expected):
        endpoints = argument.partition("=")[2].partition(":")[0].split(",")
        assert (set(INSPECTION) <= set(endpoints)) is not expected
        assert set(CLOSED) <= set(endpoints)


def test_no_platform_opens_another_port() -> None:
    env = {
        "AIP_MODE": "PREDICTION",
        "AIP_HTTP_PORT": "1",
        "SAGEMAKER_TRITON_LOG_INFO": "1",
        "PATH": "/",
    }
    assert without_platforms(env) == {"PATH": "/"}
