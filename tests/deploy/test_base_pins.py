"""Our GPU image's packages against what the pinned TensorRT-LLM requires, without an index;
``make test-gpu-image`` resolves and installs them."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from types import ModuleType

import pytest
from gemma4_runtime.trtllm.versions import PINNED
from gemma4_testing.deploy.compose_files import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

FOLDER = ROOT / "deploy/docker/gpu"
FILE = FOLDER / f"tensorrt_llm-{PINNED}.txt"
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text()
LINES = [x for x in FILE.read_text().splitlines() if x and not x.startswith("#")]
BASE: dict[str, Requirement] = {canonicalize_name(r.name): r for r in map(Requirement, LINES)}
SHADOWED = {"transformers"}
"""What the server's environment replaces on purpose."""
QUANTIZE = SHADOWED | {"setuptools"}
"""And what that of the quantizing child does."""


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("constraints", FOLDER / "constraints.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["runtime"]]
    return [Requirement(line) for line in lines]


def _allowed_by_both(one: Requirement, other: Requirement) -> bool:
    """Whether some version suits both: one that a bound names, or the next after it."""
    named = {Version(s.version) for r in (one, other) for s in r.specifier if "*" not in s.version}
    after = {Version(f"{v.base_version}.1") for v in named} | {Version("1000")}
    return any(v in one.specifier and v in other.specifier for v in named | after)


def test_the_file_says_where_it_is_from() -> None:
    head = FILE.read_text().split("\n\n")[0]
    assert PINNED in head and "PKG-INFO" in head and re.search(r"read on\n?# 20\d\d-", head)
    assert len(LINES) > 80


@pytest.mark.parametrize("own", _ours(), ids=str)
def test_ours_suit_the_base(own: Requirement) -> None:
    required = BASE.get(canonicalize_name(own.name))
    if required is not None:
        assert _allowed_by_both(own, required), f"the base requires {required}"


def test_two_that_never_suit_are_seen() -> None:
    """What ended the image's build before: these two pins of the base."""
    assert not _allowed_by_both(
        Requirement("llguidance>=1.7"), BASE[canonicalize_name("llguidance")]
    )
    assert not _allowed_by_both(
        Requirement("setuptools>=80"), BASE[canonicalize_name("setuptools")]
    )
    assert _allowed_by_both(Requirement("protobuf>=5.29"), BASE[canonicalize_name("protobuf")])


def test_what_is_replaced_is_said_in_the_dockerfile() -> None:
    calls = [set(x.split()) for x in re.findall(r"constraints\.py ([\w -]+) >", DOCKERFILE)]
    assert calls == [SHADOWED, QUANTIZE]
    version = re.search(r"^ARG TRANSFORMERS_VERSION=(\S+)", DOCKERFILE, re.MULTILINE)
    assert (
        version is not None and version[1] not in BASE[canonicalize_name("transformers")].specifier
    )


def test_constraints_of_the_published_requirements() -> None:
    made = _module().constraints(LINES, ["transformers"])
    assert "llguidance==0.7.29" in made and "setuptools<80" in made
    assert not [x for x in made if x.startswith("transformers")]
    found = {canonicalize_name(Requirement(line).name): Requirement(line) for line in made}
    bounded = {name for name, r in BASE.items() if r.specifier} - {"transformers"}
    assert found.keys() == bounded
    for name, requirement in found.items():
        assert not requirement.extras and requirement.specifier == BASE[name].specifier


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy (>=2.0.0,<2.4)", ["numpy>=2.0.0,<2.4"]),
        ("pydantic-settings[yaml]>=2", ["pydantic-settings>=2"]),
        ("colored", []),
        ('pytest>=8; extra == "devel"', []),
        ('x==1; python_version >= "3.10"', ['x==1 ; python_version >= "3.10"']),
        ("Trans_Formers==5.5.4", []),
    ],
)
def test_a_constraint(line: str, expected: list[str]) -> None:
    assert _module().constraints([line], ["trans-formers"]) == expected
