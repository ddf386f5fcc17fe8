"""docs/reference/python_sdk.md is made from the sources; `UPDATE_DOCS=1 pytest` on this file, or
clients/reference.py itself, writes it anew."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "clients" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    made = generator()
    text = made.page()
    if os.environ.get("UPDATE_DOCS"):
        made.PAGE.write_text(text, encoding="utf-8")
    assert made.PAGE.read_text(encoding="utf-8") == text


def test_the_page_holds_what_a_user_looks_for() -> None:
    text = generator().page()
    for expected in (
        "#### AsyncClient.map", "async map(", "- `temperature: float | None` 0 is greedy.",
        "### CircuitOpenError\n\nA kind of `UnavailableError`.", "- `usage: Usage`",
    ):  # fmt: skip
        assert expected in text
    assert not re.search(r":\w+:`", text)
