"""`make help` names every target."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text(encoding="utf-8")


def test_every_target_is_explained() -> None:
    (phony,) = re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.M)
    explained = re.findall(r"^([a-z][a-z-]*):.*## \S", MAKEFILE, re.M)
    assert sorted(explained) == sorted(phony.replace("\\\n", " ").split())
    assert set(explained) >= set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))
