"""Files of TLS that cannot work are refused with option, file and way out; others are read
again."""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from gemma4_cli.main import app
from gemma4_gateway.access_log import Log
from gemma4_gateway.metrics import Metrics
from gemma4_gateway.settings import SettingsError, TlsFiles, check_tls
from gemma4_gateway.tls.certificates import Certificates
from gemma4_gateway.tls.files import load
from gemma4_testing.certificates import Authority
from typer.testing import CliRunner


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def _encrypted(key: bytes) -> bytes:
    made = load_pem_private_key(key, None)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))


def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


WRONG: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("certfile", "missing", Path.unlink, "No such file"),
    ("certfile", "folder", _folder, "is no regular file"),
    ("certfile", "fifo", _fifo, "is no regular file"),
    ("certfile", "empty", lambda p: p.write_bytes(b""), "has no certificate"),
    ("certfile", "text", lambda p: p.write_bytes(b"hello"), "has no certificate"),
    ("certfile", "large", lambda p: p.write_bytes(b"x" * 2_000_000), "at most"),
    ("certfile", "der", lambda p: p.write_bytes(_der(p.read_bytes())), "is DER"),
    ("certfile", "cut", lambda p: p.write_bytes(p.read_bytes()[:-60]), "certificate"),
    ("certfile", "garbage", lambda p: p.write_bytes(p.read_bytes().replace(b"A", b"B")), "cert"),
    ("keyfile", "missing", Path.unlink, "No such file"),
    ("keyfile", "folder", _folder, "is no regular file"),
    ("keyfile", "empty", lambda p: p.write_bytes(b""), "has no private key"),
    ("keyfile", "cut", lambda p: p.write_bytes(p.read_bytes()[:-40]), "has no private key"),
    (
        "keyfile",
        "garbage",
        lambda p: p.write_bytes(p.read_bytes().replace(b"M", b"!")),
        "cannot be read",
    ),
    ("keyfile", "encrypted", lambda p: p.write_bytes(_encrypted(p.read_bytes())), "openssl pkey"),
    ("ca_certs", "missing", Path.unlink, "No such file"),
    ("ca_certs", "empty", lambda p: p.write_bytes(b""), "has no certificate"),
]


@pytest.mark.parametrize(("which", "name", "damage", "says"), WRONG, ids=lambda v: str(v)[:12])
def test_a_file_that_cannot_work(
    authority: Authority, which: str, name: str, damage: Callable[[Path], object], says: str
) -> None:
    files = replace(authority.issue(), ca_certs=authority.ca_file, cert_reqs=ssl.CERT_REQUIRED)
    load(files)
    path = getattr(files, which)
    damage(path)
    with pytest.raises(SettingsError, match=says) as caught:
        load(files)
    option = "--ssl-" + which.replace("_", "-")
    assert str(caught.value).startswith(f"{option} {path}: ")


def test_a_file_that_may_not_be_read(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:  # the tests may run as root, who may read all
        raise PermissionError(13, "Permission denied")

    files = authority.issue()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SettingsError, match="Permission denied; give a PEM file that this user"):
        load(files)


def test_a_key_of_another(authority: Authority) -> None:
    files = replace(authority.issue("a"), keyfile=authority.issue("b").keyfile)
    with pytest.raises(SettingsError, match="is not the key of the certificate"):
        load(files)


def test_the_order_of_the_chain(tmp_path: Path) -> None:
    root = Authority(tmp_path / "root")
    middle = Authority(tmp_path / "middle", parent=root)
    files = middle.issue()
    leaf, issuer = files.certfile.read_bytes(), middle.ca.cert_pem.bytes()
    assert leaf.count(b"BEGIN") == 2  # with the one that issued it
    load(files)
    own = leaf.partition(b"-----END CERTIFICATE-----\n")
    alone = own[0] + own[1]
    files.certfile.write_bytes(issuer + alone)
    with pytest.raises(SettingsError, match="comes as number 2; put it first"):
        load(files)
    files.certfile.write_bytes(alone + root.ca.cert_pem.bytes() + issuer)
    with pytest.raises(SettingsError, match=r"certificate 2 .* issued none of those before it"):
        load(files)


def test_one_file_with_both(authority: Authority) -> None:
    files = authority.issue()
    assert files.keyfile is not None
    whole = authority.folder / "whole.pem"
    whole.write_bytes(files.certfile.read_bytes() + files.keyfile.read_bytes())
    assert load(TlsFiles(whole)).names == ("localhost", "127.0.0.1")
    with pytest.raises(SettingsError, match="has no private key; give --ssl-keyfile"):
        load(TlsFiles(files.certfile))


def test_what_is_odd_is_said_and_served(authority: Authority) -> None:
    assert not load(authority.issue()).warnings
    (ended,) = load(authority.issue(days=-2)).warnings
    assert "ended at 20" in ended and "server.pem" in ended
    (early,) = load(authority.issue(begins=2)).warnings
    assert "begins at 20" in early


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--ssl-keyfile", "k"), "--ssl-keyfile k: needs --ssl-certfile"),
        (("--ssl-ca-certs", "c"), "--ssl-ca-certs c: needs --ssl-certfile"),
        (("--ssl-cert-reqs", "0"), "--ssl-cert-reqs 0: needs --ssl-certfile"),
        (("--ssl-certfile", "x", "--ssl-cert-reqs", "2"), "needs --ssl-ca-certs"),
        (("--ssl-certfile", "x", "--ssl-ca-certs", "c", "--ssl-cert-reqs", "0"), "set it to 2"),
        (("--ssl-cert-reqs", "3"), "--ssl-cert-reqs"),
        (("--ssl-certfile", "/nowhere.pem"), "--ssl-certfile /nowhere.pem: No such file"),
    ],
)
def test_the_command_line(args: tuple[str, ...], says: str) -> None:
    ran = CliRunner().invoke(app, ["gateway", *args], env={"COLUMNS": "200"})
    assert ran.exit_code == 2, ran.output
    assert says in ran.stderr
    assert "Traceback" not in ran.output


def test_an_authority_is_used_unless_told_otherwise() -> None:
    found = check_tls(Path("x"), None, Path("c"), None)
    assert found is not None and found.cert_reqs == ssl.CERT_REQUIRED
    assert check_tls(None, None, None, None) is None


class TestReload:
    @pytest.fixture
    def metrics(self) -> Metrics:
        return Metrics()

    @pytest.fixture
    def log(self) -> Iterator[tuple[Log, StringIO]]:
        out = StringIO()
        log = Log("json", out)
        yield log, out
        log.close()

    def reloads(self, metrics: Metrics) -> tuple[float, float]:
        def of(result: str) -> float:
            name = "gemma4_gateway_tls_reloads_total"
            return metrics.registry.get_sample_value(name, {"result": result}) or 0

        return of("loaded"), of("failed")

    @pytest.mark.parametrize("late", [False, True])
    def test_a_pair_written_one_after_the_other(
        self, authority: Authority, metrics: Metrics, log: tuple[Log, StringIO], late: bool
    ) -> None:
        files, new = authority.issue(days=5), authority.issue("new", days=50)
        assert files.keyfile is not None and new.keyfile is not None
        found = Certificates(files, metrics, log[0])
        before = found.context
        found.reload()
        assert found.context is before
        shutil.copy(new.certfile, files.certfile)
        found.reload()
        assert found.context is before
        assert self.reloads(metrics) == (0, 0), "the key is on its way"
        if late:
            for _ in range(3):
                found.reload()
            assert found.context is before
        assert self.reloads(metrics) == (0, late)
        shutil.copy(new.keyfile, files.keyfile)
        for _ in range(3):
            found.reload()
        assert found.context is not before
        assert self.reloads(metrics) == (1, late)
        name = "gemma4_gateway_tls_certificate_not_after_seconds"
        assert metrics.registry.get_sample_value(name) == load(new).not_after
        log[0].close()
        assert ("is not the key of the certificate" in log[1].getvalue()) == late
        assert "PRIVATE" not in log[1].getvalue()

    def test_a_file_that_goes_away_and_comes_back(
        self, authority: Authority, metrics: Metrics, log: tuple[Log, StringIO]
    ) -> None:
        files = authority.issue()
        found = Certificates(files, metrics, log[0])
        before = found.context
        away = files.certfile.rename(files.certfile.with_suffix(".away"))
        for _ in range(3):
            found.reload()
        away.rename(files.certfile)
        found.reload()
        assert found.context is before
        assert self.reloads(metrics) == (0, 1)

    def test_kubernetes_swaps_a_symlink(
        self, authority: Authority, metrics: Metrics, log: tuple[Log, StringIO], tmp_path: Path
    ) -> None:
        """As the kubelet updates a secret: ..data points to a folder of each version."""
        mount = tmp_path / "mount"
        for version in ("..1", "..2"):
            (mount / version).mkdir(parents=True)
            made = authority.issue(version.strip("."))
            assert made.keyfile is not None
            shutil.copy(made.certfile, mount / version / "tls.crt")
            shutil.copy(made.keyfile, mount / version / "tls.key")
        (mount / "..data").symlink_to("..1")
        for name in ("tls.crt", "tls.key"):
            (mount / name).symlink_to(f"..data/{name}")
        found = Certificates(TlsFiles(mount / "tls.crt", mount / "tls.key"), metrics, log[0])
        before = found.context
        (mount / "..data_tmp").symlink_to("..2")
        (mount / "..data_tmp").rename(mount / "..data")
        found.reload()
        assert found.context is not before
        assert self.reloads(metrics) == (1, 0)
