"""Machines that lack something -> the words and the line that installs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gemma4_runtime import needs
from gemma4_runtime.needs import Machine, explain_import, explain_library, report
from gemma4_runtime.needs.machine import distribution, look
from gemma4_runtime.needs.packages import ARCHIVES, wanted_python

ROOT = Path(__file__).parents[3]
PACKAGE = Path(needs.__file__).parent

BOOKWORM = Machine(
    python=(3, 11), default_python=(3, 11), distribution="bookworm", installer="apt", root=True
)
TRIXIE = BOOKWORM._replace(
    python=(3, 13), default_python=(3, 13), glibc=(2, 41), distribution="trixie"
)
NOBLE = BOOKWORM._replace(
    python=(3, 12), default_python=(3, 12), glibc=(2, 39), distribution="noble", root=False
)
JAMMY = BOOKWORM._replace(
    python=(3, 10), default_python=(3, 10), glibc=(2, 35), distribution="jammy", root=False
)
FEDORA = Machine(
    python=(3, 13), default_python=(3, 13), glibc=(2, 41), distribution="fedora", installer="dnf"
)
RHEL10 = FEDORA._replace(python=(3, 12), default_python=(3, 12), distribution="rhel", root=True)
OTHER = Machine(python=(3, 12), default_python=(3, 12), distribution="arch")
GOMP, PY311, PY312 = "libgomp.so.1", "libpython3.11.so.1.0", "libpython3.12.so.1.0"
OLDER = (
    'echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] '
    "$(apt-get indextargets --format '$(REPO_URI)' 'Codename: trixie' | head -n 1) bookworm main\""
)

LINES = {
    "Debian 12, bare": (
        BOOKWORM._replace(can_make_venv=False, missing=(GOMP, PY311)),
        "apt-get update && apt-get install -y python3.11-venv libpython3.11 libgomp1",
    ),
    "Debian 12, a user who is not root": (
        BOOKWORM._replace(missing=(GOMP,), root=False),
        "sudo apt-get update && sudo apt-get install -y libgomp1",
    ),
    "Debian 12, only the shared libpython": (
        BOOKWORM._replace(missing=(PY311,)),
        "apt-get update && apt-get install -y libpython3.11",
    ),
    "Debian 12, a newer Python first in PATH and nothing else": (
        BOOKWORM._replace(python=(3, 13), missing=(GOMP, "libpython3.13.so.1.0")),
        "apt-get update && apt-get install -y python3.11 python3.11-venv libpython3.11 libgomp1",
    ),
    "Debian 12, a static Python 3.12 made by hand": (
        BOOKWORM._replace(python=(3, 12), missing=(PY312,)),
        "apt-get update && apt-get install -y python3.11 python3.11-venv libpython3.11",
    ),
    "Debian 12, no bash and no C++ library": (
        BOOKWORM._replace(bash=False, missing=("libstdc++.so.6", "libgcc_s.so.1", "libz.so.1")),
        "apt-get update && apt-get install -y libstdc++6 libgcc-s1 zlib1g bash",
    ),
    "Debian 13: Debian 12's Python beside its own": (
        TRIXIE._replace(missing=(GOMP, "libpython3.13.so.1.0")),
        f"apt-get update && {OLDER} | tee /etc/apt/sources.list.d/bookworm.list && "
        "apt-get update && apt-get install -y python3.11 virtualenv libpython3.11 libgomp1",
    ),
    "Debian 13, not root": (
        TRIXIE._replace(root=False),
        f"sudo apt-get update && {OLDER} | sudo tee /etc/apt/sources.list.d/bookworm.list && "
        "sudo apt-get update && sudo apt-get install -y python3.11 virtualenv libpython3.11",
    ),
    "Debian 13 with Debian 12's Python, but no virtualenv": (
        TRIXIE._replace(python=(3, 11), can_make_venv=False),
        "apt-get update && apt-get install -y virtualenv",
    ),
    "Ubuntu 24.04, bare": (
        NOBLE._replace(can_make_venv=False, missing=(GOMP, PY312)),
        "sudo apt-get update && sudo apt-get install -y python3.12-venv libpython3.12 libgomp1",
    ),
    "Ubuntu 22.04: its own Python is too old": (
        JAMMY._replace(missing=(GOMP, "libpython3.10.so.1.0")),
        "sudo apt-get update && "
        "sudo apt-get install -y python3.11 python3.11-venv libpython3.11 libgomp1",
    ),
    "Fedora: its own Python is too new": (
        FEDORA._replace(missing=(GOMP,)),
        "sudo dnf install -y python3.12 libgomp",
    ),
    "Red Hat 10": (
        RHEL10._replace(missing=(GOMP, PY312)),
        "dnf install -y python3-libs libgomp",
    ),
    "Fedora with Python 3.12 beside its own": (
        FEDORA._replace(python=(3, 12), missing=(PY312, "libstdc++.so.6"), bash=False),
        "sudo dnf install -y python3.12-libs libstdc++ bash",
    ),
}


@pytest.mark.parametrize(("machine", "line"), LINES.values(), ids=LINES)
def test_the_last_line_is_the_one_to_run(machine: Machine, line: str) -> None:
    text = report(machine)
    assert text.splitlines()[-1] == f"  {line}"
    for library in machine.missing:
        assert (library in text) == (not library.startswith("libpython") or
                                     machine.python in ((3, 11), (3, 12)))  # fmt: skip


@pytest.mark.parametrize(
    "machine", [BOOKWORM, TRIXIE._replace(python=(3, 11)), NOBLE, RHEL10, OTHER]
)
def test_a_machine_that_lacks_nothing(machine: Machine) -> None:
    assert report(machine) == ""


def test_another_package_manager_gets_both_lines_as_an_example() -> None:
    text = report(OTHER._replace(missing=(GOMP,)))
    assert "apt-get install -y libgomp1" in text and "dnf install -y libgomp" in text


@pytest.mark.parametrize("installer", ["apt", ""])
def test_a_python_that_no_archive_has(installer: str) -> None:
    machine = Machine(
        python=(3, 14), distribution="questing", installer=installer, missing=(GOMP,), root=True
    )
    text = report(machine)
    assert wanted_python(machine) is None
    assert "this is 3.14, the server runs on 3.11 and 3.12" in text
    assert 'uv python install 3.12` does without root, then: make PYTHON="$(uv python' in text
    assert ("apt-get install -y libgomp1" in text) == (installer == "apt")


def test_arm64_is_as_good_as_x86_64() -> None:
    """nvidia-pytriton, xllamacpp and all others have wheels for it."""
    arm = BOOKWORM._replace(architecture="aarch64")
    for missing in ((), (GOMP,)):
        assert report(arm._replace(missing=missing)) == report(BOOKWORM._replace(missing=missing))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "riscv64"}, "the processor is riscv64"),
        ({"glibc": None}, "the C library is not glibc"),
        ({"glibc": (2, 34)}, "glibc is 2.34"),
    ],
)
def test_a_machine_that_no_package_helps(change: dict[str, Any], words: str) -> None:
    text = report(BOOKWORM._replace(**change, missing=(GOMP,)))
    assert words in text and "Debian 12" in text and "install" not in text


def test_other_systems_have_clients_only() -> None:
    assert report(BOOKWORM._replace(system="Darwin", glibc=None, missing=(GOMP,))) == ""


def test_an_import_that_lacks_a_library() -> None:
    """With the loader's own words; the message is made by a real one."""
    with pytest.raises(ImportError) as caught:
        _import_with(b"libno-such-thing.so.7")
    text = explain_import(caught.value)
    assert text is not None and text.startswith("libno-such-thing.so.7: cannot open shared object")
    assert "libno-such-thing.so.7: the server needs it" in text
    assert "`apt-file search libno-such-thing.so.7`" in text and "install -y" not in text
    assert explain_import(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert explain_import(ImportError("cannot import name 'x' from 'y': z")) is None


def _import_with(library: bytes) -> None:
    """As the import system does for an extension module that needs ``library``."""
    import ctypes

    try:
        ctypes.CDLL(library.decode())
    except OSError as error:
        raise ImportError(str(error)) from None


def test_the_library_is_named_with_its_package() -> None:
    text = explain_library(GOMP)
    assert "llama.cpp needs it" in text and "libgomp" in text.splitlines()[-1]


def test_this_machine_lacks_nothing() -> None:
    """The tests run on it."""
    machine = look()
    assert machine.python == sys.version_info[:2]
    assert report(machine) == ""


def test_an_old_python_can_read_it() -> None:
    files = list(PACKAGE.glob("*.py"))
    assert len(files) == 6
    for file in [*files, PACKAGE.parent / "__init__.py"]:
        ast.parse(file.read_text(), feature_version=(3, 6))
        assert "from __future__ import annotations" not in file.read_text()  # of Python 3.7


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('ID=debian\nVERSION_CODENAME=bookworm\n', "bookworm"),
        ('ID=linuxmint\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME="noble"\n', "noble"),
        ("# Fedora\n\nID=fedora\nVERSION_CODENAME=\"\"\n", "fedora"),
        ("", ""),
    ],
)  # fmt: skip
def test_names_of_distributions(text: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text(text)
    assert distribution(str(file)) == name
    assert distribution(str(tmp_path / "none")) == ""


class TestFindPython:
    """install/find_python.sh, which runs where there may be no Python."""

    def run(self, *pythons: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", ROOT / "install" / "find_python.sh", *pythons],
            capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"} | env,
        )  # fmt: skip

    def fake(self, folder: Path, name: str, version: tuple[int, int]) -> str:
        """Answers the script's questions as a Python of that version would."""
        file = folder / name
        file.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = {(*version, 0)}; '
            'exec(sys.argv[1])" "$2"\n'
        )
        file.chmod(0o755)
        return str(file)

    def test_the_first_that_suits(self, tmp_path: Path) -> None:
        old, new, good = (
            self.fake(tmp_path, f"python{minor}", (3, minor)) for minor in (10, 13, 12)
        )
        assert self.run("no-such-python", old, new, good).stdout.strip() == good
        assert self.run("no-such-python", new, old).stdout.strip() == new

    @pytest.mark.parametrize("codename", ARCHIVES)
    def test_no_python_at_all(self, codename: str, tmp_path: Path) -> None:
        """The same line as from Python, where that is one step."""
        release = tmp_path / "os-release"
        release.write_text(f"NAME=x\nVERSION_CODENAME={codename}\n")
        two = self.fake(tmp_path, "python2", (2, 7))
        result = self.run("no-such-python", two, OS_RELEASE=str(release))
        assert result.returncode == 1 and result.stdout == ""
        line = result.stderr.splitlines()[-1].strip().replace("sudo ", "")
        machine = Machine(
            python=(3, 10), distribution=codename, installer="apt", missing=(GOMP,), root=True
        )
        if codename != "trixie":
            assert line == report(machine).splitlines()[-1].strip()
        else:
            assert line == "apt-get update && apt-get install -y python3 libgomp1"
