"""The comparison of two images finds everything that can differ, on archives made here."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from gemma4_testing.deploy.image_layers import differences, read_image

_SETTINGS = {"User": "10001:10001", "Cmd": ["gemma4"]}


def _member(path: str, data: bytes = b"", **changed: Any) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(path)
    member.mode, member.mtime, member.size = 0o644, 1_700_000_000, len(data)
    for name, value in changed.items():
        setattr(member, name, value)
    return member, data


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _layer(**changed: Any) -> list[tuple[tarfile.TarInfo, bytes]]:
    """``changed`` is of the file /a."""
    data = changed.pop("data", b"one")
    return [
        _member("./a", data, **changed),
        _member("b/", type=tarfile.DIRTYPE),
        _member("b/link", type=tarfile.SYMTYPE, linkname="../a"),
    ]


def _save(
    file: Path,
    *layers: list[tuple[tarfile.TarInfo, bytes]],
    created: str = "2026-01-01T00:00:00Z",
    **settings: Any,
) -> Path:
    about = {"config": _SETTINGS | settings, "created": created}
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "about.json", "Layers": names}]
    parts = [("manifest.json", json.dumps(manifest).encode()),
             ("about.json", json.dumps(about).encode()),
             *zip(names, map(_tar, layers), strict=True)]  # fmt: skip
    file.write_bytes(_tar([_member(name, data) for name, data in parts]))
    return file


def _compare(tmp_path: Path, first: Any, second: Any, **about: Any) -> list[str]:
    return differences(
        read_image(_save(tmp_path / "1.tar", *first)),
        read_image(_save(tmp_path / "2.tar", *second, **about)),
    )


def test_the_same_files_are_the_same(tmp_path: Path) -> None:
    assert _compare(tmp_path, [_layer(), _layer()], [_layer(), _layer()]) == []


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"data": b"two"}, "content"),
        ({"mode": 0o755}, "mode"),
        ({"mode": 0o4644}, "mode"),
        ({"uid": 10001}, "owner"),
        ({"gid": 10001}, "owner"),
        ({"mtime": 1_700_000_001}, "mtime"),
        ({"pax_headers": {"SCHILY.xattr.security.capability": "x"}}, "attributes"),
        ({"data": b"", "type": tarfile.SYMTYPE, "linkname": "b"}, "kind, content"),
        ({"data": b"two", "mtime": 1}, "content, mtime"),
    ],
)
def test_what_a_file_can_differ_in(tmp_path: Path, changed: dict[str, Any], what: str) -> None:
    found = _compare(tmp_path, [_layer(), _layer()], [_layer(), _layer(**changed)])
    assert found == [f"layer 2: /a: {what}"]


@pytest.mark.parametrize(
    ("type_", "changed"),
    [
        (tarfile.SYMTYPE, {"linkname": "/c"}),
        (tarfile.LNKTYPE, {"linkname": "b/link"}),
        (tarfile.CHRTYPE, {"devminor": 3}),
        (tarfile.BLKTYPE, {"devmajor": 3}),
    ],
)
def test_what_links_and_devices_can_differ_in(
    tmp_path: Path, type_: bytes, changed: dict[str, Any]
) -> None:
    one, other = _member("x", type=type_, linkname="a"), _member("x", type=type_, **changed)
    assert _compare(tmp_path, [[one]], [[other]])[0].startswith("layer 1: /x: content")


def test_files_that_one_lacks(tmp_path: Path) -> None:
    more = [*_layer(), _member("log", b"x")]
    assert _compare(tmp_path, [_layer()], [more]) == ["layer 1: /log: only in the second"]
    assert _compare(tmp_path, [more], [_layer()]) == ["layer 1: /log: only in the first"]


def test_what_the_image_itself_can_differ_in(tmp_path: Path) -> None:
    layers = [_layer()]
    assert _compare(tmp_path, layers, layers, User="0") == ["image: settings"]
    assert _compare(tmp_path, layers, layers, created="later") == ["image: created"]
    assert _compare(tmp_path, layers, [_layer(), []]) == ["image: 1 layers and 2"]
    assert _compare(tmp_path, layers, [_layer()[::-1]]) == ["layer 1: order of the files"]


@pytest.mark.parametrize("data", [b"", b"no archive", _tar([_member("other", b"x")])])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "x"
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"x: is no archive of `docker save`"):
        read_image(file)
