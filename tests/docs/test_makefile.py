"""`make help` names every target, and tests/unit.py what there is."""

from __future__ import annotations

import re
from pathlib import Path

from unit import NOT_UNIT

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_target_is_explained() -> None:
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.M)
    explained = re.findall(r"^([a-z][a-z-]*):.*## \S", MAKEFILE, re.M)
    assert sorted(explained) == sorted(phony.replace("\\\n", " ").split())
    assert set(explained) >= set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))


def test_what_is_left_out_of_the_unit_tests_exists() -> None:
    tests = Path(__file__).parents[1]
    for path in NOT_UNIT:
        file, _, name = path.partition("::")
        assert (tests / file).exists(), path
        assert not name or f"def {name}(" in (tests / file).read_text(encoding="utf-8"), path
