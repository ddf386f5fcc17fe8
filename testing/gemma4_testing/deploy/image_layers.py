"""What two images differ in, layer by layer, read from what ``podman save`` or ``docker save``
writes. Standard library only."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["Entry", "Image", "differences", "read_image"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder, link or device of a layer. ``content`` is the SHA-256 of a file, the target
    of a link, the numbers of a device; ``mtime`` in seconds since 1970."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: str
    attributes: tuple[tuple[str, str], ...]
    mtime: int


@dataclass(frozen=True, slots=True)
class Image:
    """``layers`` from the lowest to the highest, path to entry. ``settings`` is what a container
    gets (user, environment, command); ``created`` the time that the image says."""

    layers: list[dict[str, Entry]]
    settings: dict[str, Any]
    created: str


def read_image(archive: Path) -> Image:
    """Read an archive in Docker's format. Raises :class:`ValueError` for another file."""
    try:
        with tarfile.open(archive) as outer:
            (manifest,) = json.loads(_bytes(outer, "manifest.json"))
            about = json.loads(_bytes(outer, manifest["Config"]))
            layers = [dict(_entries(outer, name)) for name in manifest["Layers"]]
    except (KeyError, tarfile.ReadError) as error:
        raise ValueError(f"{archive}: is no archive of `docker save`: {error}") from None
    return Image(layers, about["config"], about["created"])


def _bytes(outer: tarfile.TarFile, name: str) -> bytes:
    file = outer.extractfile(name)
    assert file is not None, name
    return file.read()


def _entries(outer: tarfile.TarFile, layer: str) -> Iterator[tuple[str, Entry]]:
    with tarfile.open(fileobj=outer.extractfile(layer)) as inner:
        for member in inner:
            attributes = sorted(
                (k, v) for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")
            )
            yield (
                "/" + member.name.removeprefix("./").strip("/"),
                Entry(
                    member.type.decode("latin-1"),
                    member.mode,
                    (member.uid, member.gid),
                    _content(inner, member),
                    tuple(attributes),
                    int(member.mtime),
                ),
            )


def _content(inner: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    if member.isreg():
        file = inner.extractfile(member)
        assert file is not None, member.name
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()
    if member.ischr() or member.isblk():
        return f"{member.devmajor}:{member.devminor}"
    return member.linkname


def differences(first: Image, second: Image) -> list[str]:
    """One line for each thing that is not the same: ``layer 2: /path: content, mtime``."""
    found = [
        f"image: {name}"
        for name in ("settings", "created")
        if getattr(first, name) != getattr(second, name)
    ]
    if len(first.layers) != len(second.layers):
        return [*found, f"image: {len(first.layers)} layers and {len(second.layers)}"]
    for number, (a, b) in enumerate(zip(first.layers, second.layers, strict=True), 1):
        for path in sorted(a.keys() | b.keys()):
            what = _what_differs(a.get(path), b.get(path))
            if what:
                found.append(f"layer {number}: {path}: {what}")
        if not found and list(a) != list(b):
            found.append(f"layer {number}: order of the files")
    return found


def _what_differs(a: Entry | None, b: Entry | None) -> str:
    if a is None or b is None:
        return "only in the second" if a is None else "only in the first"
    names = (field.name for field in fields(Entry))
    return ", ".join(name for name in names if getattr(a, name) != getattr(b, name))
