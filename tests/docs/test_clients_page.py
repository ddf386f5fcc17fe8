"""docs/clients.md names versions that the tests install, and tests that there are."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "ecosystem"))

from families import FAMILIES  # noqa: E402

PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
LOCK = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))


def rows(heading: str = "by which test") -> list[list[str]]:
    """The cells of the rows of the table whose first row ends with this heading."""
    table = PAGE.partition(f"{heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_versions_are_those_of_the_lock() -> None:
    found = rows()
    assert len(found) > 8
    for client, version, _, _ in found:
        name = client.split(" ")[0].rstrip(",").lower()
        if version == "Debian's":
            assert name not in LOCK
        else:
            assert LOCK[name] == version, client


def test_every_row_has_a_test() -> None:
    for client, _, _, tests in rows():
        assert re.search(r"\]\(\.\./tests/\S+\)", tests), client


def test_families_are_those_that_are_run() -> None:
    """Each family of `make test-clients`, with the packages and checks of its table."""
    found = {
        name.strip("`"): (packages, checks)
        for name, packages, checks in rows("packages | what is run")
    }
    assert found == {
        family.name: (
            ", ".join(" ".join(item) for item in family.versions.items()) or "of the machine",
            ", ".join(family.checks),
        )
        for family in FAMILIES
    }


def test_scripts_report_the_checks_of_their_family() -> None:
    """A check that no script reports could only fail, and one that no table has would be lost."""
    for family in FAMILIES:
        script = ROOT / "tests" / "ecosystem" / "clients" / family.script
        text = script.read_text(encoding="utf-8").replace("_", " ")
        for check in family.checks:
            assert re.search(rf"\b{re.escape(check)}\b", text), (family.name, check)
