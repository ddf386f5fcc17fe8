"""What a server needs of the process that starts it."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from gemma4_runtime.processes.limits import open_files_short_of, raise_soft, threads_left
from gemma4_serve import process_checks
from gemma4_serve.errors import ServeError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_long_temporary_folder_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = place / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = process_checks.new_folder("gemma4-run-")
    try:
        assert len(str(folder)) < 60 and not list(long.iterdir())
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("extra", [0, 1])
def test_the_longest_run_dir(extra: int, tmp_path: Path) -> None:
    """The limit counts bytes; at it, a socket with a name of 16 bytes can be made."""
    import socket

    room = 90 - len(str(tmp_path)) - 1 + extra
    folder = tmp_path / ("\N{LATIN SMALL LETTER E WITH ACUTE}" * (room // 2) + "x" * (room % 2))
    if extra:
        with pytest.raises(ServeError, match="91 bytes, at most 90"):
            process_checks.usable_folder("--run-dir", folder)
        return
    process_checks.usable_folder("--run-dir", folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(folder / ("s" * 16)))


def test_a_soft_limit_is_raised_and_a_hard_one_refuses() -> None:
    code = (
        "import resource, sys\n"
        "from gemma4_runtime.processes.limits import open_files_short_of\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))\n"
        "print(open_files_short_of(256, 'it'), resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    )
    for hard, said in (("1000", "1000"), ("100", "it needs 256 open files, the hard limit")):
        done = subprocess.run(
            [sys.executable, "-c", code, hard], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip().startswith(said), (done.stdout, done.stderr)


def test_no_limit_is_infinity() -> None:
    assert raise_soft(resource.RLIMIT_CPU) > 0
    assert threads_left() > 0
    assert open_files_short_of(1, "it") == ""
