"""JSON and YAML of others: one kind of error for every fault, and no blocking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gemma4_runtime.one_line import one_line
from gemma4_runtime.strict_json import JsonFileError, parse, read_file, read_object
from gemma4_runtime.strict_yaml import YamlFileError, read_mapping

BAD_JSON = {
    "deep": ("[" * 200_000, "nested"),
    "deep objects": ('{"a":' * 200_000, "nested"),
    "twice": ('{"a": 1, "b": {"c": 1, "c": 1}}', "'c' twice"),
    "nan": ('{"a": NaN}', "NaN"),
    "infinity": ("[-Infinity]", "Infinity"),
    "digits": ("9" * 5000, "digits"),
    "surrogate": (r'{"a": "\ud800"}', "surrogate"),
    "surrogate key": (r'{"\uDFFF": 1}', "surrogate"),
    "empty": ("", "not JSON"),
    "half": ('{"a"', "not JSON"),
    "two": ("{} {}", "not JSON"),
    "latin-1": (b'{"a": "\xe9"}', "UTF-8 at byte 7"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(name: str) -> None:
    data, word = BAD_JSON[name]
    with pytest.raises(JsonFileError, match=word):
        parse(data)  # type: ignore[arg-type]


def test_good_json() -> None:
    assert parse(b'{"a": ["\xc3\xa9", 1.5, null], "b": "\\ud83d\\ude00"}') == {
        "a": ["é", 1.5, None], "b": "\N{GRINNING FACE}",
    }  # fmt: skip


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "big").write_bytes(b"12345")
    for name in ("pipe", "loop", "zero", ".", "absent", "a\0b"):
        with pytest.raises(OSError, match=r"\S"):
            read_file(tmp_path / name)
    with pytest.raises(OSError, match="5 bytes, at most 4"):
        read_file(tmp_path / "big", most=4)
    (tmp_path / "list").write_text("[]")
    with pytest.raises(JsonFileError, match="object"):
        read_object(tmp_path / "list")


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: &x 1\nb: *x", "alias .* line 2"), ("a: 1\na: 2", "twice"), ("a: [", "not YAML"),
     ("[" * 100_000, "nested"), ("a: 2001-99-99", "bad value"), ("- 1", "mapping"),
     ("1: 2", "no text"), ("", "empty"), ("word", "single value"), ("a: !!python/name:os.system", "not YAML")],
)  # fmt: skip
def test_bad_yaml(text: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(YamlFileError, match=word):
        read_mapping(tmp_path / "f")


def test_one_line() -> None:
    assert one_line("plain é 中") == "plain é 中"
    assert one_line("a\nb\x1b[2J\ud800\u202e") == r"a\nb\x1b[2J\ud800\u202e"
    long = one_line("x" * 1_000_000)
    assert len(long) < 1500 and "998600 characters left out" in long
