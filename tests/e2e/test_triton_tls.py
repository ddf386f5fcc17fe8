"""TLS between a client or the gateway and a real Triton: who gets in, what is refused, and
certificates that are renewed, end, or belong to others."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from gemma4_client import TLS, Client, Gemma4Error
from gemma4_gateway.settings import TlsFiles
from gemma4_testing.certificates import Authority
from gemma4_testing.engine_folders.synthetic_engine import synthetic_engine
from gemma4_testing.servers.running_gateway import RunningGateway, chat
from gemma4_testing.servers.served import Served
from gemma4_testing.surface.scan import listening
from gemma4_testing.waiting import wait_until

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"))


def options(files: TlsFiles, authority: Authority | None = None) -> tuple[str, ...]:
    found = ("--ssl-certfile", str(files.certfile), "--ssl-keyfile", str(files.keyfile))
    return found if authority is None else (*found, "--ssl-ca-certs", str(authority.ca_file))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthetic_engine(tmp_path_factory.mktemp("engine") / "e", tokens_per_s=100, slots=8)


@pytest.fixture(scope="module")
def mutual(
    engine: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    served = Served(
        engine, tmp_path_factory.mktemp("run"), *options(authority.issue("triton"), authority)
    )  # fmt: skip
    yield served
    assert served.stop() == 0


def shown(files: TlsFiles) -> tuple[str, ...]:
    return (
        "--backend-ssl-certfile",
        str(files.certfile),
        "--backend-ssl-keyfile",
        str(files.keyfile),
    )


def asks(server: Served, tls: TLS) -> str:
    """What a client with this TLS gets; the kind of its error."""
    with Client(f"127.0.0.1:{server.grpc}", tls=tls, retry=None, breaker=None) as client:
        try:
            return client.chat("hello", max_tokens=3, timeout=10).result().finish_reason
        except Gemma4Error as error:
            return type(error).__name__


def test_who_gets_in(mutual: Served, authority: Authority, other: Authority) -> None:
    mine, foreign = authority.issue("client"), other.issue("client")
    assert asks(mutual, TLS(authority.ca_file, mine.certfile, mine.keyfile)) == "length"
    refused = {
        "no certificate": TLS(authority.ca_file),
        "of another authority": TLS(authority.ca_file, foreign.certfile, foreign.keyfile),
        "one that has ended": TLS(
            authority.ca_file, *_pair(authority.issue("old", days=-1, begins=-30))
        ),
        "one that has not begun": TLS(authority.ca_file, *_pair(authority.issue("new", begins=5))),
        "a server of another authority": TLS(other.ca_file, mine.certfile, mine.keyfile),
    }
    for what, tls in refused.items():
        assert asks(mutual, tls) == "UnavailableError", what
    assert asks(mutual, TLS(authority.ca_file, mine.certfile, mine.keyfile)) == "length"


def _pair(files: TlsFiles) -> tuple[Path, Path | None]:
    return files.certfile, files.keyfile


def test_plain_text_is_refused(mutual: Served) -> None:
    with (
        grpc.insecure_channel(f"127.0.0.1:{mutual.grpc}") as channel,
        pytest.raises(grpc.FutureTimeoutError),
    ):
        grpc.channel_ready_future(channel).result(timeout=2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(
    mutual: Served, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client(authority.issue("client"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    with socket.create_connection(("127.0.0.1", mutual.grpc), 10) as sock, pytest.raises(OSError):
        context.wrap_socket(sock, server_hostname="127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_versions_are_taken(
    mutual: Served, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = authority.client(authority.issue("client"))
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", mutual.grpc), 10) as sock,
        context.wrap_socket(sock, server_hostname="127.0.0.1") as wrapped,
    ):
        assert wrapped.selected_alpn_protocol() == "h2"


def test_http_without_tls_is_on_loopback(
    engine: Path, authority: Authority, tmp_path: Path
) -> None:
    served = Served(
        engine, tmp_path / "run", "--host", "0.0.0.0", "--allow-remote-embedded-triton",
        *options(authority.issue("remote")),
    )  # fmt: skip
    try:
        assert {(x.address, x.port) for x in listening(served.process.pid)} == {
            ("127.0.0.1", served.http), ("::", served.grpc), ("0.0.0.0", served.metrics),
        }  # fmt: skip
        assert asks(served, TLS(authority.ca_file)) == "length"
    finally:
        assert served.stop() == 0


def test_the_gateway_renews_what_it_shows(
    mutual: Served, authority: Authority, other: Authority
) -> None:
    """While a stream runs, its certificate ends, is replaced by another's, and by a good one."""
    files = authority.issue("gateway")
    args = (
        "--backend-ssl-ca-certs",
        str(authority.ca_file),
        *shown(files),
        "--health-interval",
        "0.2",
    )
    gateway = RunningGateway(mutual.grpc, args=args)
    try:
        with gateway.http() as http:

            def ready() -> bool:
                return http.get("/health/ready").status_code == 200

            wait_until(ready, 30)
            lines: list[str] = []

            def read() -> None:
                body = chat("x", stream=True, min_tokens=600, max_tokens=600)
                with gateway.http() as own, own.stream("POST", CHAT, json=body) as reply:
                    lines.extend(reply.iter_lines())

            thread = threading.Thread(target=read)
            thread.start()
            wait_until(lambda: http.get("/metrics").text.find("running_requests 1") > 0, 20)
            foreign = other.issue("gateway")
            for mine, theirs in zip(_pair(files), _pair(foreign), strict=True):
                assert mine is not None and theirs is not None
                shutil.copy(theirs, mine)
            wait_until(lambda: not ready(), 30, "a certificate of another authority still gets in")
            authority.issue("gateway")  # the same files again
            wait_until(ready, 30, "the renewed certificate is not used")
            assert http.post(CHAT, json=chat(max_tokens=2)).status_code == 200
            thread.join(60)
            assert "data: [DONE]" in lines, (lines[-2:], gateway.text[-4000:])
    finally:
        assert gateway.stop() == 0


@pytest.mark.parametrize("wrong", ["no certificate", "another authority", "another name", "plain"])
def test_a_gateway_that_may_not_in_says_that_it_is_not_ready(
    mutual: Served, authority: Authority, other: Authority, wrong: str
) -> None:
    ca, mine = (
        ("--backend-ssl-ca-certs", str(authority.ca_file)),
        shown(authority.issue("gateway2")),
    )
    args = {
        "no certificate": ca,
        "another authority": ("--backend-ssl-ca-certs", str(other.ca_file), *mine),
        "another name": (*ca, *mine, "--backend-ssl-name", "elsewhere.example"),
        "plain": (),
    }[wrong]
    gateway = RunningGateway(mutual.grpc, args=args)
    try:
        assert "NOT READY" in gateway.text
        with gateway.http() as http:
            assert http.post(CHAT, json=chat(max_tokens=2)).status_code == 503
    finally:
        assert gateway.stop() == 0


def test_a_renewal_is_noticed_and_nothing_breaks(mutual: Served, authority: Authority) -> None:
    """Triton goes on with the former certificate; the log says what to do."""
    assert "tls_certificate_stale" not in mutual.text
    mine = authority.issue("client")
    tls = TLS(authority.ca_file, mine.certfile, mine.keyfile)
    authority.issue("triton", days=90)
    wait_until(lambda: "tls_certificate_stale" in mutual.text, 30)
    assert "restart this server" in mutual.text
    time.sleep(6)  # it is said once
    assert mutual.text.count("tls_certificate_stale") == 1
    assert asks(mutual, tls) == "length"


def test_mutual_tls_leaves_http_for_this_machine(mutual: Served) -> None:
    body = {"text_input": "hello", "max_tokens": 2}
    reply = httpx.post(
        f"http://127.0.0.1:{mutual.http}/v2/models/gemma4_unary/generate", json=body, timeout=30
    )
    assert reply.status_code == 200, json.dumps(reply.text)[:500]
