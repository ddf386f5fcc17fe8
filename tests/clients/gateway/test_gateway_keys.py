"""Keys are kept as hashes, and a bad file says what is wrong with it."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest
from gemma4_gateway.keys import add_key, load_keys, new_key
from gemma4_gateway.settings import KeySource, SettingsError


def test_made_keys_are_found_and_not_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first, second = add_key(path, "a"), add_key(path, "b")
    text = path.read_text()
    assert first not in text and second not in text
    assert hashlib.sha256(first.encode()).hexdigest() in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ring = load_keys(KeySource(path, ("plain",)))
    assert [ring.find(k).name for k in (first, second, "plain")] == ["a", "b", "environment"]
    assert ring.find(first + "x") is None
    assert ring.find("") is None
    assert not ring.open
    assert load_keys(KeySource()).open


def test_keys_differ_and_are_long() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(k) > 50 for k in keys)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "a")
    with pytest.raises(SettingsError, match="take another"):
        add_key(path, "a")
    with pytest.raises(SettingsError, match="A-Z"):
        add_key(path, "a b")
    assert len(json.loads(path.read_text())["keys"]) == 1


ENTRY = {"name": "a", "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file"),
        ("{", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"keys": []}', "holds no key"),
        (json.dumps({"keys": [{"name": "a", "sha256": "x"}]}), "keys.0.sha256"),
        (json.dumps({"keys": [ENTRY | {"key": "secret"}]}), "keys.0.key"),
        (json.dumps({"keys": [ENTRY | {"max_running": -1}]}), "keys.0.max_running"),
        (json.dumps({"keys": [ENTRY, ENTRY]}), "is there twice"),
    ],
)
def test_files_that_cannot_work(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=says):
        load_keys(KeySource(path))
