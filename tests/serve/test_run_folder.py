"""One server for each run folder, and nothing left by those that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from gemma4_serve import run_folder
from gemma4_serve.errors import ServeError
from gemma4_serve.run_folder import lock_run_dir, private_run_dir, shared_memory_prefix, sweep


def test_a_second_server_is_told_who_has_it(tmp_path: Path) -> None:
    wanted = pytest.raises(ServeError, match=f"process {os.getpid()} serves with it")
    with lock_run_dir(tmp_path / "run"), wanted, lock_run_dir(tmp_path / "run"):
        raise AssertionError
    with lock_run_dir(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = pytest.raises(ServeError, match="name a folder that you may")
    with wanted, lock_run_dir(tmp_path / "file" / "run"):
        raise AssertionError


def test_a_killed_server_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from gemma4_serve.run_folder import lock_run_dir\n"
        "with lock_run_dir(Path(sys.argv[1])): print('up', flush=True); time.sleep(60)"
    )
    held = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert held.stdout is not None
    held.stdout.read(3)
    with pytest.raises(ServeError, match=f"process {held.pid}"), lock_run_dir(tmp_path):
        raise AssertionError
    held.kill()
    held.wait()
    with lock_run_dir(tmp_path):
        pass


def test_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(run_folder, "_SHM", tmp_path / "shm")
    (tmp_path / "shm").mkdir()
    old = time.time() - 3600
    with private_run_dir() as mine, lock_run_dir(mine):
        for name in ("gemma4-run-left", "gemma4-run-young", "other"):
            (tmp_path / name).mkdir()
        for folder in (mine, tmp_path / "gemma4-run-left", tmp_path / "other"):
            os.utime(folder, (old, old))
        dead = subprocess.Popen(["true"])
        dead.wait()
        ours = tmp_path / "shm" / f"{shared_memory_prefix()}x"
        namespace = run_folder.namespace()
        names = [ours.name, f"{namespace}{dead.pid}_1_x", f"gemma4_1_{dead.pid}_1_x", "other"]
        for name in names:
            (tmp_path / "shm" / name).touch()
        sweep()
        assert mine.is_dir()
        left = {path.name for path in tmp_path.iterdir()} - {"shm", mine.name}
        assert left == {"gemma4-run-young", "other"}
        assert {path.name for path in Path(tmp_path / "shm").iterdir()} == {
            ours.name, f"gemma4_1_{dead.pid}_1_x", "other",
        }  # fmt: skip
    assert not mine.exists()
