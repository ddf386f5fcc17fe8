"""API keys: made here, kept as SHA-256, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gemma4_gateway.fair.tenant import Priority, Tenant
from gemma4_gateway.settings import KeySource, SettingsError

__all__ = ["ANONYMOUS", "KeyEntry", "KeyRing", "add_key", "load_keys", "new_key"]

_PREFIX = "sk-gemma4-"


class KeyEntry(BaseModel):
    """One key, which is one tenant. Limits that are left out are the gateway's; 0 is no limit.
    ``weight``: its share among the keys of its ``priority`` that wait for back ends.
    ``queue_seconds``: as long as a request of it may wait."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@\-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    requests_per_minute: Annotated[int, Field(ge=0)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=0)] | None = None
    max_running: Annotated[int, Field(ge=0)] | None = None
    weight: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] = 1.0
    priority: Priority = "normal"
    queue_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @cached_property
    def tenant(self) -> Tenant:
        """Whose requests those of this key are, where they wait."""
        return Tenant(self.name, self.weight, self.priority, self.queue_seconds)


class _KeyFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    keys: list[KeyEntry]


ANONYMOUS = KeyEntry(name="anonymous", sha256="0" * 64)
"""Whoever calls a gateway that asks for no key."""


def new_key() -> str:
    """Return ``sk-gemma4-`` and 256 random bits."""
    return _PREFIX + secrets.token_urlsafe(32)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """Finds the entry of a key. An empty ring asks for none."""

    def __init__(self, entries: Sequence[KeyEntry]) -> None:
        self._entries = tuple(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def replace(self, other: KeyRing) -> None:
        """Take the entries of ``other``."""
        self._entries = other._entries

    @property
    def open(self) -> bool:
        return not self._entries

    def find(self, key: str) -> KeyEntry | None:
        """Find a key by comparing with every entry, whichever fits."""
        digest = _digest(key)
        found = None
        for entry in self._entries:
            if hmac.compare_digest(digest, entry.sha256):
                found = entry
        return found


def load_keys(source: KeySource) -> KeyRing:
    """Load the keys. Raises :class:`SettingsError` for a file that is missing, empty or not of this
    form."""
    entries = [
        KeyEntry(name=f"environment-{i}" if i else "environment", sha256=_digest(key))
        for i, key in enumerate(source.plain)
    ]
    if source.file is not None:
        entries += _read(source.file).keys
        if not entries:
            raise SettingsError(
                f"{source.file}: holds no key, so nobody could call; make one with "
                f"`gemma4 gateway new-key --api-keys-file {source.file} --name NAME`"
            )
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"{source.file}: the name {name!r} is there twice")
    return KeyRing(entries)


def _read(path: Path) -> _KeyFile:
    try:
        return _KeyFile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"--api-keys-file {path}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SettingsError(f"--api-keys-file {path}: {place}: {first['msg']}") from None


def add_key(path: Path, name: str) -> str:
    """Make a key, write its hash to the file (mode 0600, replaced as a whole), return the key.
    Raises :class:`SettingsError`."""
    kept = _read(path).keys if path.exists() else []
    if any(entry.name == name for entry in kept):
        raise SettingsError(f"--name {name}: {path} has a key of that name; take another")
    key = new_key()
    try:
        entry = KeyEntry(name=name, sha256=_digest(key))
    except ValidationError:
        raise SettingsError(f"--name {name}: 1 to 64 of A-Z a-z 0-9 _ . @ -") from None
    data = {"keys": [e.model_dump(exclude_defaults=True) for e in (*kept, entry)]}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        json.dump(data, file, indent=2)
        file.write("\n")
    Path(temporary).replace(path)
    return key
