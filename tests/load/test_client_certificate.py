"""`gemma4 load` and locust's users show a certificate to a gateway that asks for one (mTLS)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gemma4_gateway.settings import TlsFiles
from gemma4_load.errors import OptionError, TargetError
from gemma4_load.targets import CLIENT_CERT, CLIENT_KEY, client_certificate, connect
from gemma4_load.targets.blocking import BlockingOpenAI
from gemma4_load.workloads.base import Ask
from gemma4_testing.certificates import Authority
from gemma4_testing.fakes.fake_backend import fake_backend
from gemma4_testing.fakes.in_process_gateway import gateway_before

ASK = Ask("probe", [{"role": "user", "content": "hi"}], {"max_tokens": 4})


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    found = Authority(tmp_path / "ca")
    monkeypatch.setenv("SSL_CERT_FILE", str(found.ca_file))
    return found


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    files = replace(authority.issue(), ca_certs=authority.ca_file, cert_reqs=ssl.CERT_OPTIONAL)
    with fake_backend("good") as backend, gateway_before(backend.address, tls=files) as gateway:
        yield f"{gateway.url}/v1"


def show(monkeypatch: pytest.MonkeyPatch, files: TlsFiles) -> None:
    monkeypatch.setenv(CLIENT_CERT, str(files.certfile))
    monkeypatch.setenv(CLIENT_KEY, str(files.keyfile))


async def _asked(url: str) -> str:
    """Return the answer that `gemma4 load` gets."""
    target = connect(url, timeout=20, model="m")
    try:
        return (await target.ask(ASK, lambda _: True)).text
    finally:
        await target.close()


def blocking(url: str) -> str:
    target = BlockingOpenAI(url, timeout=20, model="m", context=client_certificate())
    try:
        return target.ask(ASK, lambda _: True).text
    finally:
        target.close()


def test_the_certificate_opens(
    url: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TargetError, match="client certificate"):
        asyncio.run(_asked(url))
    with pytest.raises(TargetError, match="client certificate"):
        blocking(url)
    show(monkeypatch, authority.issue("client"))
    assert asyncio.run(_asked(url)) == blocking(url) != ""


def test_a_wrong_one_is_named(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    assert client_certificate() is None
    one, other = authority.issue("one"), authority.issue("other")
    for wrong in (
        replace(one, certfile=Path("/none.pem")),
        replace(one, keyfile=other.keyfile),
        replace(one, certfile=authority.folder / "other.key"),
    ):
        show(monkeypatch, wrong)
        with pytest.raises(OptionError, match=f"{CLIENT_CERT}={wrong.certfile}, {CLIENT_KEY}="):
            client_certificate()
    monkeypatch.delenv(CLIENT_KEY)
    monkeypatch.setenv(CLIENT_CERT, str(one.certfile))
    with pytest.raises(OptionError, match="cert and key go together"):
        client_certificate()
