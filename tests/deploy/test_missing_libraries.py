"""What the GPU image takes of Triton's libraries, with real shared objects and the real loader."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from gemma4_testing.deploy.compose_files import ROOT
from gemma4_testing.deploy.elf import write_shared_object

SCRIPT = ROOT / "deploy/docker/gpu/missing_libraries.sh"
HAS = "libm.so.6"
"""One that every machine with glibc has in its loader's cache."""


def found(file: Path, *search: Path) -> dict[str, str]:
    """Library to path, as the loader resolves ``file``; "not found" where it does not."""
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    if search:
        env["LD_LIBRARY_PATH"] = ":".join(map(str, search))
    text = subprocess.run(["ldd", file], env=env, capture_output=True, text=True).stdout
    return dict(re.findall(r"^\s*(\S+) => (not found|\S+)", text, re.MULTILINE))


def run(source: Path, target: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run(
        ["sh", SCRIPT, source, target, *files], env=env, capture_output=True, text=True
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Triton's image: also has what the base has."""
    folder = tmp_path / "libraries"
    folder.mkdir()
    write_shared_object(folder / HAS)
    write_shared_object(folder / "libof-triton.so.1", "libdeeper.so.2", HAS)
    write_shared_object(folder / "libdeeper.so.2")
    write_shared_object(folder / "libunused.so.3")
    write_shared_object(folder / "libcudart.so.99")
    return folder


def test_every_entry_of_the_library_path_beats_the_loaders_cache(
    source: Path, tmp_path: Path
) -> None:
    """Why the image does not use one: the last entry, too, replaces what the base has."""
    program = write_shared_object(tmp_path / "libprogram.so", HAS)
    assert found(program)[HAS].startswith(("/lib", "/usr/lib"))
    assert found(program, tmp_path / "nothing", source)[HAS] == str(source / HAS)


def test_only_what_lacks_is_copied(source: Path, tmp_path: Path) -> None:
    program = write_shared_object(tmp_path / "libprogram.so", HAS, "libof-triton.so.1")
    target = tmp_path / "missing"
    done = run(source, target, program)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in target.iterdir()) == ["libdeeper.so.2", "libof-triton.so.1"]
    resolved = found(program, target)
    assert resolved[HAS].startswith(("/lib", "/usr/lib"))
    assert resolved["libof-triton.so.1"] == str(target / "libof-triton.so.1")
    assert "not found" not in resolved.values()
    again = run(source, target, program)
    assert (again.returncode, again.stdout) == (0, "")


def test_the_driver_comes_from_the_machine(source: Path, tmp_path: Path) -> None:
    program = write_shared_object(tmp_path / "libp.so", "libcuda.so.1", "libnvidia-ml.so.1")
    done = run(source, tmp_path / "missing", program)
    assert done.returncode == 0 and not list((tmp_path / "missing").iterdir())


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        ("libcudart.so.99", "a base of the same CUDA version"),
        ("libcublasLt.so.99", "a base of the same CUDA version"),
        ("libnvinfer.so.99", "a base of the same CUDA version"),
        ("libnowhere.so.7", "neither this image nor Triton's has it in a form"),
    ],
)
def test_what_cannot_be_taken_ends_the_build(
    source: Path, tmp_path: Path, needed: str, message: str
) -> None:
    """CUDA's libraries not even where Triton's image has them."""
    program = write_shared_object(tmp_path / "libprogram.so", needed)
    done = run(source, tmp_path / "missing", program)
    assert done.returncode != 0
    assert needed in done.stderr and message in done.stderr


def test_the_image_has_no_library_path() -> None:
    text = (ROOT / "deploy/docker/Dockerfile").read_text()
    instructions = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert "LD_LIBRARY_PATH" not in "\n".join(instructions)
