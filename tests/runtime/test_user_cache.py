"""Small caches in the user's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from gemma4_runtime.user_cache import cache_file, read_entries, write_entries


def test_the_newest_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.json"
    write_entries(file, {str(i): i for i in range(5)}, most=3)
    assert read_entries(file) == {"2": 2, "3": 3, "4": 4}
    assert list(read_entries(file)) == ["2", "3", "4"]
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("text", ["", "[]", "{", "1", "[" * 100_000, "\xff"])
def test_what_is_none_of_ours_is_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    assert read_entries(tmp_path / "a.json") == {}


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()  # cannot be replaced by a file
    write_entries(tmp_path / "a.json", {"a": 1}, most=1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "file").write_text("")
    write_entries(tmp_path / "file" / "a.json", {"a": 1}, most=1)


def test_without_a_home_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: type[Path]) -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", classmethod(homeless))
    assert cache_file("a.json") is None
    assert read_entries(None) == {}
    write_entries(None, {"a": 1}, most=1)
