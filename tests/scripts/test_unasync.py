"""The blocking SDK is what scripts/unasync.py makes of the asyncio SDK."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "unasync.py"


@pytest.fixture
def unasync() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unasync", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(unasync: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made folder of a copy of the SDK that the script works on."""
    shutil.copytree(ROOT / "clients", tmp_path / "clients")
    package = tmp_path / "clients" / "gemma4_client"
    for name, value in (
        ("ROOT", tmp_path), ("SOURCE", package / "_async"), ("MADE", package / "_sync"),
    ):  # fmt: skip
        monkeypatch.setattr(unasync, name, value)
    return package / "_sync"


def test_the_made_files_are_up_to_date() -> None:
    ran = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_no_made_file_waits_as_asyncio_does(unasync: Any) -> None:
    for path, text in unasync.made_files().items():
        code = text.removeprefix(unasync.HEAD.format(name=path.name))
        left = re.findall(r"\b(?:async|await|asyncio|Async\w*|grpc\.aio|a(?:iter|next))\b", code)
        assert not left or path.name == "__init__.py", (path.name, left)


def test_each_kind_of_difference_is_told_and_mended(unasync: Any, copy: Any) -> None:
    assert unasync.differences() == []
    (copy / "stream.py").write_text((copy / "stream.py").read_text() + "\n# by hand\n")
    (copy / "client.py").unlink()
    (copy / "old.py").write_text("")
    found = unasync.differences()
    assert [line.split(": ")[0].rpartition("/")[2] for line in found] == [
        "client.py", "stream.py", "old.py",
    ]  # fmt: skip
    assert "run it" in found[0] and "remove it" in found[2]
    unasync.write()
    assert unasync.differences() == []


def test_a_change_of_the_source_is_a_difference(unasync: Any, copy: Any) -> None:
    source = unasync.SOURCE / "stream.py"
    source.write_text(source.read_text().replace("self._read = True", "self._read = 1"))
    assert len(unasync.differences()) == 1


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("async def f() -> AsyncCall: ...", "def f() -> Call: ..."),
        ("x = await f()", "x = f()"),
        ("async with f() as x:\n    pass", "with f() as x:\n    pass"),
        ("y = aiter(x)", "y = iter(x)"),
        ("def __aenter__(self): ...", "def __enter__(self): ..."),
        ("a: Awaitable[dict[str, list[int]]]", "a: dict[str, list[int]]"),
        ("a: Iterable[Text] | AsyncIterable[Text]", "a: Iterable[Text]"),
        ("run_all_async(await x.aclose())", "run_all(x.close())"),
        ("from p import a, AsyncB, B\nb: B", "from p import B\nb: B"),
        ("import p.q\nimport r\n\nr.x", "import r\n\nr.x"),
        ('"""Has tasks."""\n\n# sync: """Has\n# sync: threads."""\n', '"""Has\nthreads."""'),
        (
            'def f():\n    """Wait."""\n    # sync: """Block."""\n    return 1',
            'def f():\n    """Block."""\n    return 1',
        ),
    ],
)
def test_what_the_rules_make(unasync: Any, source: str, made: str) -> None:
    assert unasync.sync_of(source + "\n").strip() == made


def test_names_of_an_import_are_sorted_and_wrapped(unasync: Any) -> None:
    names = ["A" * 30, "Async" + "C" + "c" * 30, "b" * 30]
    text = f"from p import {', '.join(reversed(names))}\n" + "".join(f"{name}\n" for name in names)
    assert unasync.sync_of(text).startswith(
        f"from p import (\n    {names[0]},\n    {names[1][5:]},\n    {names[2]},\n)\n"
    )


@pytest.mark.parametrize("text", ["# sync: x\n", "if x:\n    # sync: y\n    y\n"])
def test_a_line_for_no_statement_is_refused(unasync: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"line [12]: no statement ends above '# sync:"):
        unasync.sync_of(text)
