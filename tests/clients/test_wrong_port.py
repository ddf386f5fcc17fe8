"""Whatever listens at an address is named, with what to give instead. No Triton: its first bytes."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import grpc
import pytest
import trustme
from gemma4_client.port_kind import Found, find_out
from gemma4_client.wrong_port import BACKEND, CHAT, LOAD, Option, wrong_port
from gemma4_testing.fakes.ports import ANSWERS, grpc_server, http, listener


@pytest.fixture(scope="module")
def cert() -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.fixture(scope="module")
def tls(cert: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)
    return context


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("secure", [False, True])
def test_http_servers(kind: str, secure: bool, tls: ssl.SSLContext) -> None:
    with listener(http(kind), tls if secure else None) as port:
        assert find_out("127.0.0.1", port) == Found(kind, tls=secure)  # type: ignore[arg-type]


@pytest.mark.parametrize("secure", [False, True])
def test_grpc(secure: bool, cert: trustme.LeafCert) -> None:
    pair = (cert.private_key_pem.bytes(), cert.cert_chain_pems[0].bytes())
    with grpc_server(grpc.ssl_server_credentials([pair]) if secure else None) as port:
        assert find_out("127.0.0.1", port) == Found("grpc", tls=secure)


def test_others() -> None:
    with listener(lambda asked: b"SSH-2.0-x\r\n") as port:
        assert find_out("127.0.0.1", port) == Found("unknown")
    with listener(lambda asked: None) as port:
        assert find_out("127.0.0.1", port) == Found("unknown")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert find_out("127.0.0.1", port) == Found("nobody")


ADVICE = [
    (CHAT, "{}", Found("triton"), "Triton's HTTP port; use --url http://{}"),
    (CHAT, "http://{}", Found("triton"), None),
    (CHAT, "https://{}", Found("triton"), "HTTP port without TLS; use --url http://{}"),
    (CHAT, "http://{}", Found("triton", tls=True), "HTTP port with TLS; use --url https://{}"),
    (CHAT, "http://{}", Found("grpc"), "a gRPC port; use --url {}"),
    (CHAT, "{}", Found("grpc"), None),
    (CHAT, "grpcs://{}", Found("grpc"), "a gRPC port without TLS; use --url {}"),
    (CHAT, "{}", Found("grpc", tls=True), "a gRPC port with TLS; use --url grpcs://{}"),
    (CHAT, "grpcs://{}", Found("grpc", tls=True), None),
    (CHAT, "{}", Found("metrics"), "{} has metrics, for Prometheus; give the gRPC port"),
    (CHAT, "http://{}/v1", Found("gateway"), "{} is a gateway, for clients of OpenAI's"),
    (CHAT, "{}", Found("gateway", tls=True), "base URL https://{}/v1"),
    (CHAT, "{}", Found("http"), "an HTTP server, not Triton's"),
    (CHAT, "{}", Found("unknown"), "no port of Triton or of a gateway"),
    (CHAT, "{}", Found("unknown", tls=True), "wants TLS; use --url grpcs://{} or --url https://{}"),
    (CHAT, "grpcs://{}", Found("unknown", tls=True), "no port of Triton or of a gateway"),
    (CHAT, "{}", Found("nobody"), "no server at {}; start one with `gemma4 serve`"),
    (LOAD, "{}", Found("triton"), "Triton's HTTP port; use --url http://{}"),
    (LOAD, "http://{}/v1", Found("triton"), "Triton's HTTP port; use --url http://{}"),
    (LOAD, "http://{}/v1", Found("grpc"), "a gRPC port; use --url {}"),
    (LOAD, "{}", Found("gateway"), "a gateway; use --url http://{}/v1"),
    (LOAD, "http://{}", Found("gateway"), "a gateway; use --url http://{}/v1"),
    (LOAD, "http://{}/v1", Found("gateway", tls=True), "with TLS; use --url https://{}/v1"),
    (LOAD, "https://{}/v1/", Found("gateway"), "without TLS; use --url http://{}/v1"),
    (LOAD, "http://{}/v1", Found("gateway"), None),
    (LOAD, "http://{}/v1", Found("http"), None),
    (LOAD, "http://{}", Found("http"), "an HTTP server, not Triton's"),
    (LOAD, "http://{}/v1", Found("metrics"), "{} has metrics, for Prometheus; give the gRPC port"),
    (LOAD, "http://{}/v1", Found("nobody"), "no server at {}; start one with `gemma4 gateway`"),
    (LOAD, "http://{}", Found("nobody"), "no server at {}; start one with `gemma4 serve`"),
    (BACKEND, "{}", Found("grpc"), None),
    (BACKEND, "{}", Found("triton"), "Triton's HTTP port; give the gRPC port"),
    (BACKEND, "{}", Found("metrics"), "{} has metrics, for Prometheus; give the gRPC port"),
    (BACKEND, "{}", Found("gateway"), "{} is a gateway, for clients of OpenAI's"),
    (BACKEND, "{}", Found("http"), "an HTTP server, not Triton's"),
    (BACKEND, "{}", Found("grpc", tls=True), "{} speaks TLS; give --backend-ssl-ca-certs FILE"),
    (BACKEND, "{}", Found("triton", tls=True), "Triton's HTTP port; give the gRPC port"),
    (BACKEND, "{}", Found("unknown", tls=True), "{} speaks TLS; give --backend-ssl-ca-certs FILE"),
    (BACKEND, "{}", Found("unknown"), "no port of Triton or of a gateway"),
    (BACKEND, "{}", Found("nobody"), "no server at {}; start one with `gemma4 serve`"),
]


@pytest.mark.parametrize(("option", "url", "found", "words"), ADVICE)
@pytest.mark.parametrize("target", ["127.0.0.1:8123", "[::1]:8123"])
def test_advice(
    option: Option,
    url: str,
    found: Found,
    words: str | None,
    target: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def find(host: str, port: int) -> Found:
        asked.append((host, port))
        return found

    monkeypatch.setattr("gemma4_client.wrong_port.find_out", find)
    advice = wrong_port(url.format(target), option)
    host = target.rpartition(":")[0]
    assert asked == [(host.strip("[]"), 8123)]
    if words is None:
        assert advice is None
        return
    assert advice is not None and words.replace("{}", target) in advice
    if words.endswith("give the gRPC port"):
        assert f", such as {option.name} {host}:8001" in advice


def advised(option: Option, kind: Any, tls: bool) -> list[str]:
    """What the advice tells to give to the option, for each form of address that it takes."""
    forms = ["{}", "grpcs://{}", "http://{}", "https://{}", "http://{}/v1", "https://{}/v1"]
    told = []
    for form in forms[: 1 if option is BACKEND else 6 if option is LOAD else 4]:
        advice = wrong_port(form.format("127.0.0.1:8123"), option)
        if advice is not None and f"; use {option.name} " in advice:
            told += [part.split()[1] for part in advice.split("; use ")[1].split(" or ")]
    return told


@pytest.mark.parametrize("option", [CHAT, LOAD, BACKEND], ids=["chat", "load", "backend"])
@pytest.mark.parametrize("kind", ["triton", "grpc", "gateway", "metrics", "http", "unknown"])
@pytest.mark.parametrize("tls", [False, True])
def test_what_is_told_is_right(
    option: Option, kind: Any, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who obeys is not told to give something else."""
    monkeypatch.setattr("gemma4_client.wrong_port.find_out", lambda *_: Found(kind, tls=tls))
    told = advised(option, kind, tls)
    assert bool(told) == (
        option is not BACKEND and (kind in option.takes or (tls and kind == "unknown"))
    )
    if kind != "unknown":
        assert not [url for url in told if wrong_port(url, option) is not None]
