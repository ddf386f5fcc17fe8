"""What a message says about an extra that is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from gemma4_runtime.needs import extras, install_extra, wrong_python

ROOT = Path(__file__).parents[3]


def test_a_checkout_stays_editable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "CHECKOUT", ROOT)
    monkeypatch.chdir(ROOT)
    python = str(ROOT / ".venv" / "bin" / "python")
    assert install_extra("load", python) == "`.venv/bin/python -m pip install -e '.[load]'`"
    monkeypatch.chdir(tmp_path)
    assert install_extra("load", "/a b/python") == (
        f"`'/a b/python' -m pip install -e '.[load]'` in {ROOT}"
    )


def test_a_copy_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "CHECKOUT", tmp_path)
    said = install_extra("http", "/usr/bin/python3")
    assert said == "`/usr/bin/python3 -m pip install '.[http]'` in the project's folder"
    assert sys.executable.rpartition("/")[2] in install_extra("http")


@pytest.mark.parametrize(
    ("extra", "python", "says"),
    [
        ("serve", (3, 10), "this is Python 3.10, the server runs on 3.11 and 3.12; `make serve`"),
        ("serve", (3, 13), "this is Python 3.13, the server runs on 3.11 and 3.12; `make serve`"),
        ("serve", (3, 11), ""),
        ("serve", (3, 12), ""),
        ("build", (3, 10), "this is Python 3.10, `build` needs 3.11 or newer"),
        ("build", (3, 14), ""),
        ("gateway", (3, 10), ""),
        ("load", (3, 14), ""),
    ],
)
def test_the_pythons_of_an_extra(extra: str, python: tuple[int, int], says: str) -> None:
    said = wrong_python(extra, python)
    assert said.startswith(says) and bool(said) == bool(says)
