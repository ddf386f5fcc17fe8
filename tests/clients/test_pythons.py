"""What runs on which Python: the light packages on 3.10 and newer, the server on 3.11 and 3.12."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LIGHT = (
    "clients/gemma4_client", "clients/gemma4_dynamo", "clients/gemma4_gateway",
    "load_tests/gemma4_load", "cli/gemma4_cli",
    "runtime/gemma4_runtime/contract", "runtime/gemma4_runtime/needs",
    "runtime/gemma4_runtime/error_codes.py", "runtime/gemma4_runtime/errors.py",
    "runtime/gemma4_runtime/enums.py", "runtime/gemma4_runtime/picklable.py",
    "runtime/gemma4_runtime/logs", "runtime/gemma4_runtime/one_line.py",
    "runtime/gemma4_runtime/output/utf8.py",
)  # fmt: skip
"""What clients, gateway, Dynamo's worker and load tests are made of."""
OWN_FORMS = {"asyncio": ("timeout", "TaskGroup", "Timeout", "Runner"), "datetime": ("UTC",),
             "enum": ("StrEnum",), "typing": ("Unpack", "Self", "NotRequired", "assert_never"),
             "tomllib": ("",), "builtins": ("ExceptionGroup", "BaseExceptionGroup")}  # fmt: skip
"""Names that came with Python 3.11; a module that takes one asks for the version first."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
RUNS = {  # extra: the Pythons it is for
    "http": PYTHONS, "cache": PYTHONS, "gateway": PYTHONS, "load": PYTHONS, "test-clients": PYTHONS,
    "dynamo": PYTHONS, "otel": PYTHONS, "redis": PYTHONS,
    "aiconfigurator": PYTHONS[1:4], "build": PYTHONS[1:], "runtime": PYTHONS[1:], "quantize": PYTHONS[1:], "serve": PYTHONS[1:3],
    "test": PYTHONS[1:3], "dev": PYTHONS[1:3],
}  # fmt: skip


OF_THE_SERVER = (
    "gguf", "griffe", "jsonschema_rs", "langchain_openai", "litellm", "llguidance",
    "msgspec", "pynvml", "pytriton", "safetensors", "schemathesis", "tokenizers", "torch",
    "transformers", "xllamacpp",
)  # fmt: skip
"""Modules of packages that the extra test-clients does not bring."""


def files() -> list[Path]:
    found = [p for name in LIGHT for p in ([ROOT / name] if name.endswith(".py") else
                                           (ROOT / name).rglob("*.py"))]  # fmt: skip
    assert len(found) > 150
    return found


def faults(source: str) -> list[str]:
    """What Python 3.10 cannot do, or would do otherwise."""
    tree = ast.parse(source, feature_version=(3, 10))
    found = []
    guarded = "sys.version_info" in source
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in OWN_FORMS.get(node.value.id, ()):
                found.append(f"{node.lineno}: {node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom) and not guarded:
            names = OWN_FORMS.get(node.module or "", ())
            found += [f"{node.lineno}: {a.name}" for a in node.names if a.name in names]
        elif isinstance(node, ast.Import):
            found += [f"{node.lineno}: tomllib" for a in node.names if a.name == "tomllib"]
        elif isinstance(node, ast.Name) and not guarded:
            if node.id in OWN_FORMS["builtins"]:
                found.append(f"{node.lineno}: {node.id}")
            elif node.id == "TimeoutError":
                found.append(f"{node.lineno}: TimeoutError; asyncio's is another, use TIMED_OUT")
    return found


def test_the_light_packages_are_of_3_10() -> None:
    assert {str(p): found for p in files() if (found := faults(p.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "try: x()\nexcept TimeoutError: pass",
        "isinstance(e, (OSError, TimeoutError))",
        "async def f():\n async with asyncio.timeout(1): pass",
        "from datetime import UTC, datetime",
        "from enum import StrEnum",
        "from typing import Any, Self",
        "import tomllib",
        "raise ExceptionGroup('', [])",
    ],
)
def test_the_check_finds(source: str) -> None:
    assert len(faults(source)) == 1


def test_the_check_refuses_newer_syntax() -> None:
    with pytest.raises(SyntaxError):
        faults("try:\n x()\nexcept* ValueError:\n pass")


def test_the_tools_check_the_same_level() -> None:
    project = PROJECT["project"]
    named = [x.rpartition(" ")[2] for x in project["classifiers"] if "Python :: 3." in x]
    assert tuple(named) == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py310"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (checked,) = re.findall(r"mypy --python-version (\S+) (.*)", makefile)
    assert checked[0] == PYTHONS[0]
    assert set(LIGHT[:5]) == set(checked[1].split())


def requirements(extra: str) -> list[Requirement]:
    """With those of the extras of ours that it names."""
    found = []
    for line in PROJECT["project"]["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["project"]["name"]:
            for inner in requirement.extras:
                found += requirements(inner)
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("extra", PROJECT["project"]["optional-dependencies"])
@pytest.mark.parametrize("python", PYTHONS)
def test_an_extra_is_for_its_pythons(extra: str, python: str) -> None:
    """Where it does not run, pip meets a version that nobody has, whose words say what to do."""
    refused = [
        r for r in requirements(extra)
        if "==0+" in str(r.specifier)
        and (r.marker is None or r.marker.evaluate({"python_version": python}))
    ]  # fmt: skip
    assert bool(refused) == (python not in RUNS[extra]), refused
    if refused:
        assert re.search(r"(needs|runs\.on)\.python\.3\.11", str(refused[0].specifier))


@pytest.mark.timeout(700)
def test_the_tests_of_every_python_need_nothing_of_the_server() -> None:
    """`make test-pythons` runs them without it."""
    code = f"""
import sys, pytest
class Hidden:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {OF_THE_SERVER}:
            raise ModuleNotFoundError(f"{{name}} is of the server")
sys.meta_path.insert(0, Hidden)
sys.exit(pytest.main(sys.argv[1:]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, "--unit", "--light", "--collect-only", "-q", "-p", "no:schemathesis",
         "tests/clients", "tests/load", "tests/cli"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
