"""The options of TLS of `gemma4 serve` and of the gateway's way to it: what cannot work is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_gateway.settings import SettingsError, check_backend_tls
from gemma4_serve.errors import ServeError
from gemma4_serve.install import TritonInstall
from gemma4_serve.links import Links
from gemma4_serve.tls import check_tls, tls_arguments
from gemma4_testing.certificates import Authority


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ca")
    authority = Authority(folder)
    authority.issue("one")
    authority.issue("two")
    (folder / "empty.pem").write_text("")
    (folder / "both.pem").write_text(
        (folder / "one.pem").read_text() + (folder / "one.key").read_text()
    )
    return folder


WRONG = [
    ((None, "one.key", None), "--ssl-keyfile", "needs --ssl-certfile"),
    ((None, None, "ca.pem"), "--ssl-ca-certs", "needs --ssl-certfile"),
    (("one.pem", None, None), "one.pem", "a key that belongs"),
    (("one.pem", "two.key", None), "two.key", "a key that belongs"),
    (("none.pem", "one.key", None), "none.pem", "No such file"),
    (("empty.pem", "one.key", None), "empty.pem", "PEM"),
    (("one.pem", "one.key", "empty.pem"), "--ssl-ca-certs", "authorities"),
    (("one.pem", "one.key", "none.pem"), "--ssl-ca-certs", "No such file"),
]


@pytest.mark.parametrize(("names", "says", "way_out"), WRONG)
def test_what_cannot_work(
    folder: Path, names: tuple[str | None, ...], says: str, way_out: str
) -> None:
    with pytest.raises(ServeError) as caught:
        check_tls(*(None if name is None else folder / name for name in names))
    assert says in str(caught.value) and way_out in str(caught.value)


@pytest.mark.parametrize("name", ["a b.pem", "one.pem"])
@pytest.mark.parametrize("mutual", [False, True])
def test_arguments(folder: Path, tmp_path: Path, name: str, mutual: bool) -> None:
    (tmp_path / name).write_text((folder / "both.pem").read_text())
    tls = check_tls(tmp_path / name, None, folder / "ca.pem" if mutual else None)
    install = TritonInstall(Path("bin"), Path("b"), {}, embedded=True, links=Links(tmp_path))
    found = dict(argument[2:].split("=", 1) for argument in tls_arguments(tls, install))
    assert found.pop(f"grpc-use-ssl{'-mutual' if mutual else ''}") == "true"
    assert found.keys() == {"grpc-server-cert", "grpc-server-key"} | (
        {"grpc-root-cert"} if mutual else set()
    )
    for path in found.values():
        assert " " not in path and Path(path).read_text().startswith("-----BEGIN")
    assert tls_arguments(None, install) == [] and check_tls(None, None, None) is None


BACKEND = [
    ((None, "one.pem", None, None), "--backend-ssl-certfile", "--backend-ssl-ca-certs"),
    ((None, None, "one.key", None), "--backend-ssl-keyfile", "--backend-ssl-ca-certs"),
    ((None, None, None, "x"), "--backend-ssl-name x", "--backend-ssl-ca-certs"),
    (("ca.pem", None, "one.key", None), "--backend-ssl-keyfile", "--backend-ssl-certfile"),
    (("ca.pem", "one.pem", "two.key", None), "two.key", "a key that belongs"),
    (("ca.pem", "one.pem", None, None), "one.pem", "a key that belongs"),
    (("none.pem", None, None, None), "none.pem", "may read"),
    (("empty.pem", None, None, None), "empty.pem", "give PEM files"),
]


@pytest.mark.parametrize(("given", "says", "way_out"), BACKEND)
def test_what_cannot_work_on_the_way_to_a_back_end(
    folder: Path, given: tuple[str | None, ...], says: str, way_out: str
) -> None:
    *names, server_name = given
    paths = [None if name is None else folder / name for name in names]
    with pytest.raises(SettingsError) as caught:
        check_backend_tls(paths[0], paths[1], paths[2], server_name)
    assert says in str(caught.value) and way_out in str(caught.value)


def test_one_file_with_both(folder: Path) -> None:
    found = check_backend_tls(folder / "ca.pem", folder / "both.pem", None, "name")
    assert found is not None and found.key == found.cert and found.server_name == "name"
    assert check_backend_tls(None, None, None, None) is None
