"""`make help` names every target, and the tables of tests what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alone import ALONE
from light import NOT_LIGHT
from unit import NOT_UNIT

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_target_is_explained() -> None:
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.M)
    explained = re.findall(r"^([a-z][a-z0-9-]*):.*## \S", MAKEFILE, re.M)
    assert sorted(explained) == sorted(phony.replace("\\\n", " ").split())
    assert set(explained) >= set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.M))


@pytest.mark.parametrize(
    "table", [ALONE, NOT_LIGHT, NOT_UNIT], ids=["alone", "not light", "not unit"]
)
def test_what_a_table_of_tests_names_exists(table: dict[str, str]) -> None:
    tests = Path(__file__).parents[1]
    for path in table:
        file, _, name = path.partition("::")
        assert (tests / file).exists(), path
        assert not name or f"def {name}(" in (tests / file).read_text(encoding="utf-8"), path


def test_the_hosted_ci_runs_what_ci_runs() -> None:
    ours, hosted = (
        set(re.findall(r"\bmake [a-z-]+", path.read_text(encoding="utf-8")))
        for path in (ROOT / ".ci/run", ROOT / ".github/workflows/ci.yml")
    )
    assert {"make test"} < ours <= hosted


def test_the_hosted_ci_installs_what_ci_installs() -> None:
    """A browser comes with the hosted machines."""
    ours, hosted = (
        {
            word
            for line in re.findall(r"apt-get install (.*)", text.replace("\\\n", " "))
            for word in line.split()
            if re.fullmatch(r"[a-z][a-z0-9.-]*", word)
        }
        for text in (
            path.read_text(encoding="utf-8")
            for path in (ROOT / ".ci/run", ROOT / ".github/workflows/ci.yml")
        )
    )
    assert "redis-server" in ours
    assert ours - {"chromium"} <= hosted
