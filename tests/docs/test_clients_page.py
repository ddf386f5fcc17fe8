"""docs/clients.md names versions that the tests install, and tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
LOCK = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "requirements.lock").read_text(), re.M))


def rows() -> list[list[str]]:
    """The cells of the rows of the first table."""
    table = PAGE.partition("by which test")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_versions_are_those_of_the_lock() -> None:
    found = rows()
    assert len(found) > 8
    for client, version, _, _ in found:
        name = client.split(" ")[0].lower()
        if version == "Debian's":
            assert name not in LOCK
        else:
            assert LOCK[name] == version, client


def test_every_row_has_a_test() -> None:
    for client, _, _, tests in rows():
        assert re.search(r"\]\(\.\./tests/\S+\)", tests), client
