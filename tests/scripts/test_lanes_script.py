"""The lanes of scripts/lanes.sh together are all tests, each once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from alone import ALONE
from lanes import left_out

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "scripts/lanes.sh").read_text()


def names() -> Iterator[tuple[str, str]]:
    for file in (ROOT / "tests").rglob("test_*.py"):
        yield file.relative_to(ROOT / "tests").as_posix(), "test_x"
    for entry in ALONE:
        path, _, name = entry.partition("::")
        yield path, name or "test_x"


def lanes_of(path: str, name: str) -> list[str]:
    lanes = re.findall(r"--only (\w+)", SCRIPT)
    assert len(lanes) == 3
    options: dict[str, Any] = {"--unit": False, "--light": False}
    configs: dict[str, Any] = {
        lane: SimpleNamespace(getoption=(options | {"--only": lane}).get) for lane in lanes
    }
    return [lane for lane, config in configs.items() if not left_out(config, path, name)]


def test_every_test_is_in_one_lane() -> None:
    found = {(path, name): lanes_of(path, name) for path, name in names()}
    assert not {test: lanes for test, lanes in found.items() if len(lanes) != 1}
    assert lanes_of("e2e/test_unary.py", "test_x") == ["e2e"]
    assert lanes_of("build/test_convert.py", "test_x") == ["rest"]
    assert lanes_of("docs/test_spelling.py", "test_x") == ["together"]
