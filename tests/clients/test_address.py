"""Addresses and encrypted connections."""

from __future__ import annotations

import itertools
import ssl
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from gemma4_client import TLS, AsyncClient, Client, UnavailableError
from gemma4_client.address import parse_address
from gemma4_client.transport.proxies import proxy_note
from gemma4_testing.fakes.both_clients import KINDS, PROTOCOLS, client_of
from gemma4_testing.fakes.fake_triton import Script, grpc_server, http_server, whole


@pytest.mark.parametrize(
    ("url", "options", "protocol", "target", "secure"),
    [
        ("host:9001", {}, "grpc", "host:9001", False),
        ("host", {}, "grpc", "host:8001", False),
        ("host", {"protocol": "http"}, "http", "host:8000", False),
        ("host:1", {"protocol": "http"}, "http", "host:1", False),
        ("grpc://host:1", {}, "grpc", "host:1", False),
        ("grpcs://host", {}, "grpc", "host:443", True),
        ("http://host:8000", {}, "http", "host:8000", False),
        ("https://host", {"protocol": "http"}, "http", "host:443", True),
        ("host:1", {"tls": TLS()}, "grpc", "host:1", True),
        ("[::1]:5", {}, "grpc", "[::1]:5", False),
    ],
)
def test_addresses(
    url: str, options: dict[str, Any], protocol: str, target: str, secure: bool
) -> None:
    address = parse_address(url, **options)
    assert (address.protocol, address.target, address.tls is not None) == (protocol, target, secure)


def test_a_path_before_triton() -> None:
    assert parse_address("https://host/a/b/").http_url == "https://host:443/a/b"


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("::1", {}, r"brackets, as in \[::1\]:8001"),
        ("::1:8001", {}, "brackets"),
        ("http://fe80::1", {}, "brackets"),
        ("http://[::1", {}, "url='http://"),
        ("ftp://host", {}, "use host:port"),
        ("host:port", {}, "url='host:port'"),
        ("", {}, "must be a host and a port"),
        ("host:0", {}, "port 0 is no server's"),
        ("http://host:0", {}, "port 0 is no server's"),
        ("grpc://host/path", {}, "must be a host and a port; only HTTP has a path"),
        ("http://host:1?a=b", {}, "must be a host and a port, without [?] or #"),
        ("host:1?", {}, "without [?] or #"),
        ("host:1#part", {}, "without [?] or #"),
        ("http://host", {"protocol": "grpc"}, "is http, but protocol='grpc'"),
        ("http://host", {"tls": TLS()}, "not encrypted"),
        ("host", {"protocol": "smtp"}, "protocol='smtp' must be grpc or http"),
    ],
)
def test_wrong_addresses(url: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_address(url, **options)


@pytest.mark.parametrize(
    "url",
    ["grpc://u:secret@host:1", "http://:secret@host", "u:secret@host:1", "http://secret@host/a",
     "http://u:se@secret@host", "grpc://u:secret@[::1", "ftp://u:secret@host", "http://u:secret@"],
)  # fmt: skip
def test_a_user_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="without a user or password") as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_tls_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(ValueError, match="cert and key go together"):
        TLS(cert=tmp_path / "a")
    with pytest.raises(ValueError, match="ca='nowhere' is no file"):
        TLS(ca="nowhere")
    with pytest.raises(ValueError, match="server_name='x' works on gRPC only"):
        TLS(server_name="x").ssl_context()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, host in (("server", "localhost"), ("client", "client")):
        made = authority.issue_cert(host)
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        with (folder / f"{name}.pem").open("wb") as out:
            out.writelines(blob.bytes() for blob in made.cert_chain_pems)
    return folder


def encrypted(protocol: str, files: Path) -> AbstractContextManager[Any]:
    """A server that asks for the client's certificate."""
    scripts = itertools.repeat(Script(whole()))
    if protocol == "grpc":
        pair = ((files / "server.key").read_bytes(), (files / "server.pem").read_bytes())
        ca = (files / "ca.pem").read_bytes()
        return grpc_server(scripts, grpc.ssl_server_credentials([pair], ca, True))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files / "server.pem", files / "server.key")
    context.load_verify_locations(files / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return http_server(scripts, context)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_mutual_tls(kind: str, protocol: str, files: Path) -> None:
    ours: dict[str, Any] = {"cert": files / "client.pem", "key": files / "client.key"}
    with encrypted(protocol, files) as (target, _):
        url = f"{protocol}s://{target}"
        with client_of(kind, url, tls=TLS(ca=files / "ca.pem", **ours)) as client:
            assert client.chat("hi", timeout=10).result().text == "hello!"
        for tls in (TLS(ca=files / "ca.pem"), TLS(**ours)):  # no certificate; unknown authority
            with (
                client_of(kind, url, tls=tls, retry=None) as client,
                pytest.raises(UnavailableError),
            ):
                client.chat("hi", timeout=10).result()


def test_another_name_in_the_certificate(files: Path) -> None:
    with encrypted("grpc", files) as (target, _):
        tls = TLS(files / "ca.pem", files / "client.pem", files / "client.key", "localhost")
        url = target.replace("localhost", "127.0.0.1")
        with client_of("sync", url, tls=tls) as client:
            assert client.chat("hi", timeout=10).result().text == "hello!"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"a b": "x"}, "'a b' is no name of a header"),
        ({"": "x"}, "'' is no name"),
        ({"x\r\ny": "x"}, "is no name"),
        ({"x-key": "a\nb"}, "the value of 'x-key' has characters"),
        ({"x-key": "é"}, "the value of 'x-key' has characters"),
        ({"x-key": 3}, "the value of 'x-key' must be a string"),
        ({"grpc-timeout": "1S"}, "'grpc-timeout' has a meaning of its own"),
        ({"x-bin": "1"}, "'x-bin' has a meaning of its own"),
    ],
)
@pytest.mark.parametrize("url", ["127.0.0.1:9", "http://127.0.0.1:9"])
def test_illegal_headers_are_named(url: str, headers: dict[str, Any], says: str) -> None:
    for make in (
        lambda: Client(url, headers=headers),
        lambda: AsyncClient(url, headers=headers),
        lambda: Client(url).chat("Hi", headers=headers),
    ):
        with pytest.raises(ValueError, match=says):
            make()


def test_a_proxy_shows_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:secret@proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    shown = proxy_note(parse_address("http://outside.example"))
    assert "by the proxy proxy.example:3128 of the environment variable http_proxy" in shown
    assert "secret" not in shown
    for url in ("http://inside.example", "http://localhost", "https://outside.example"):
        assert proxy_note(parse_address(url)) == ""
