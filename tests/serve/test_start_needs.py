"""What must be right before Triton is started: paths it can take, programs that can be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from gemma4_serve import runtime_checks
from gemma4_serve.errors import ServeError
from gemma4_serve.install import find_triton
from gemma4_serve.links import Links, is_plain
from gemma4_serve.loader_check import check_loads
from gemma4_serve.model_python import make_model_python

NAMES = ["a b", "größe", "it's", "$HOME", "a;b", "a:b", "a&b", "(a)", "a*", "`a`", 'a"b', "a\\b"]
STUBS = Path(find_spec("pytriton").origin).parent / "tritonserver" / "python_backend_stubs"


@pytest.mark.parametrize("name", NAMES)
def test_links_have_plain_paths(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert not is_plain(folder)
    links = Links(folder)
    link = links.plain(folder)
    assert link.samefile(folder) and links.plain(str(folder)) == link
    assert links.plain(tmp_path) == tmp_path
    # As Triton's Python backend does it, and as a search path is read.
    command = ["bash", "-c", f"exec /bin/echo {link}"]
    assert subprocess.check_output(command, text=True) == f"{link}\n"
    assert ":" not in str(link)


def test_links_are_in_a_plain_run_dir(tmp_path: Path) -> None:
    links = Links(tmp_path)
    assert links.folder == tmp_path and links.plain("/a b") == tmp_path / "link0"
    assert Links(tmp_path).plain("/another one").readlink() == Path("/another one")


def test_links_elsewhere_end_with_the_process(tmp_path: Path) -> None:
    """And a TMPDIR that is not plain either is not used."""
    folder = tmp_path / "a b"
    folder.mkdir()
    code = "import sys; from gemma4_serve.links import Links; print(Links(sys.argv[1]).folder)"
    used = subprocess.check_output(
        [sys.executable, "-c", code, folder], text=True, env=os.environ | {"TMPDIR": str(folder)}
    ).strip()
    assert is_plain(used) and not Path(used).exists()


def test_no_place_for_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gemma4_serve.links._FOLDERS", (str(tmp_path / "none"),))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "neither"))
    with pytest.raises(ServeError, match=r"--run-dir .*a b: Triton cannot take this path"):
        Links(tmp_path / "a b")


def test_the_model_processes_find_what_this_process_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python in isolated mode and an ASCII locale, as Triton's stub embeds it."""
    package = tmp_path / "größe $x"
    package.mkdir()
    (package / "only_here.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(str(package))
    programs = make_model_python(Links(tmp_path))
    code = "import only_here, numpy, gemma4_runtime as g; print(only_here.ANSWER, g.__file__)"
    answer = subprocess.check_output(
        [programs / "python3", "-I", "-X", "utf8=0", "-c", code],
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, text=True,
    ).split()  # fmt: skip
    import gemma4_runtime

    assert answer[0] == "42" and Path(answer[1]).samefile(gemma4_runtime.__file__)


def _unloadable_stub() -> Path:
    """Of a Python whose shared library this machine lacks; there is a stub for each of six."""
    for stub in sorted(STUBS.glob("*/triton_python_backend_stub")):
        if subprocess.run([stub], capture_output=True).returncode == 127:
            return stub
    raise AssertionError("this machine has the shared library of every Python from 3.8 to 3.13")


def test_a_stub_that_cannot_be_loaded(tmp_path: Path) -> None:
    stub = _unloadable_stub()
    version = stub.parent.name
    with pytest.raises(ServeError) as caught:
        check_loads(stub, env={})
    words = str(caught.value).splitlines()
    assert f"error while loading shared libraries: libpython{version}.so.1.0" in words[0]
    assert len(words) > 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho said >&2; exit 127\n", "said"),
        ("#!/bin/sh\nkill -ILL $$\n", "ended by signal 4"),
        ("#!/no/such/interpreter\n", "cannot be run: No such file"),
        (None, "cannot be run: Permission denied"),
    ],
)
def test_programs_that_cannot_be_loaded(script: str | None, words: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(script or "")
    if script:
        program.chmod(0o755)
    with pytest.raises(ServeError, match=words):
        check_loads(program, env={})


def test_what_a_program_says_itself_is_no_failure(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\n[ "$NAME" = value ] && echo usage >&2; exit 1\n')
    program.chmod(0o755)
    check_loads(program, "--help", env={"NAME": "value"})


def test_a_server_that_could_not_load_its_stub_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = _unloadable_stub()
    real = find_spec("pytriton")
    root = tmp_path / "pytriton"
    (root / "tritonserver").mkdir(parents=True)
    for name in ("bin", "backends"):
        (root / "tritonserver" / name).symlink_to(STUBS.parent / name)
    (tmp_path / "nvidia_pytriton.libs").symlink_to(
        Path(real.origin).parents[1] / "nvidia_pytriton.libs"
    )
    stubs = root / "tritonserver" / "python_backend_stubs"
    stubs.mkdir()
    (stubs / f"{sys.version_info.major}.{sys.version_info.minor}").symlink_to(broken.parent)
    (root / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ServeError, match="error while loading shared libraries"):
        find_triton(tmp_path / "run", system=tmp_path / "none")


def test_llama_cpp_without_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_checks, "_OPENMP", "libgomp.so.0")
    with pytest.raises(ServeError, match=r"llama.cpp cannot be loaded: libgomp.so.0: cannot open"):
        runtime_checks._check_openmp()
