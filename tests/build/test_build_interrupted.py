"""Interrupted builds, full disks and rivals: nothing half-made under the target's name."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import gemma4_build.convert
import pytest
from gemma4_build import errors
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest
from gemma4_build.result import BuildResult

GEMMA4 = Path(sys.executable).with_name("gemma4")

# Kills itself (or gets Ctrl-C) after half of the source was converted.
STOP_HALFWAY = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
import gemma4_build.convert as convert
from gemma4_build.pipeline import build_engine
from gemma4_build.progress import SilentReporter
from gemma4_build.request import BuildRequest

convert._NOTE_EVERY = 1

class Killer(SilentReporter):
    @contextmanager
    def bytes(self, title, *, total, done=0):
        left = [total // 2]
        def tick(count):
            left[0] -= count
            if left[0] < 0:
                os.kill(os.getpid(), getattr(signal, sys.argv[3]))
        yield tick

request = BuildRequest(checkpoint=Path(sys.argv[1]), out=Path(sys.argv[2]), skip_verify=True)
build_engine(request, Killer())
"""


def build(checkpoint: Path, out: Path, **options: Any) -> BuildResult:
    request = BuildRequest(checkpoint=checkpoint, out=out, skip_verify=True, **options)
    return build_engine(request, SilentReporter())


def stop_halfway(checkpoint: Path, out: Path, signal_name: str) -> int:
    command = [sys.executable, "-c", STOP_HALFWAY, str(checkpoint), str(out), signal_name]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_an_interrupted_build_resumes(name: str, tiny_source: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "engine", tmp_path / "whole"
    assert stop_halfway(tiny_source, out, name) == -getattr(signal, name)
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".engine.building"]
    result = build(tiny_source, out)
    assert result.status == "built"
    reference = build(tiny_source, whole)
    assert 0 < result.read_bytes < 0.6 * reference.read_bytes
    assert (out / "model.gguf").read_bytes() == (whole / "model.gguf").read_bytes()
    assert result.manifest.files == reference.manifest.files
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engine", "whole"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*result.manifest.files, "engine.json"])


@pytest.mark.parametrize(
    "stage", ["Converted", "Verifying: 12 prompts", "Verifying: the same through"]
)
def test_a_killed_build_leaves_only_what_the_next_one_takes(
    stage: str, tiny_source: Path, tmp_path: Path
) -> None:
    temporary, out = tmp_path / "tmp", tmp_path / "out" / "engine"
    temporary.mkdir()
    command = [GEMMA4, "build", tiny_source, "--out", out]
    with subprocess.Popen(
        command,  # type: ignore[arg-type]
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    ) as child:
        assert child.stderr is not None
        assert any(stage in line for line in child.stderr)
        child.kill()
    assert [path.name for path in out.parent.iterdir()] == [".engine.building"]
    assert not list(temporary.iterdir())
    result = build_engine(BuildRequest(checkpoint=tiny_source, out=out), SilentReporter())
    assert result.manifest.verified and result.read_bytes == 0
    assert [path.name for path in out.parent.iterdir()] == ["engine"]


@pytest.mark.parametrize("place", [0.1, 0.3])
def test_a_damaged_rest_is_not_resumed(place: float, tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    stop_halfway(tiny_source, out, "SIGKILL")
    model = tmp_path / ".engine.building" / "model.gguf"
    data = bytearray(model.read_bytes())
    data[int(place * len(data))] ^= 1
    model.write_bytes(data)
    result = build(tiny_source, out)
    whole = build(tiny_source, tmp_path / "whole")
    assert result.read_bytes == whole.read_bytes
    assert result.manifest.files == whole.manifest.files


def test_the_rest_of_another_build_is_dropped(tiny_source: Path, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    stop_halfway(tiny_source, out, "SIGKILL")
    result = build(tiny_source, out, precision="int4")
    whole = build(tiny_source, tmp_path / "whole", precision="int4")
    assert result.read_bytes == whole.read_bytes
    assert result.manifest.files == whole.manifest.files


@pytest.mark.parametrize("after", [0, 1])
def test_a_replacement_stopped_between_its_renames(
    after: int, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "engine"
    build(tiny_source, out, precision="int8")
    rename, calls = Path.rename, [0]

    def stop(self: Path, target: Path) -> Path:
        if calls[0] == after and self.suffix != ".new":
            raise KeyboardInterrupt
        calls[0] += 1
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", stop)
        build(tiny_source, out, precision="int4", force=True)
    assert out.exists() == (after == 0)
    result = build(tiny_source, out, precision="int4", force=True)
    assert (result.status, result.read_bytes) == ("built", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*result.manifest.files, "engine.json"])


def test_two_builds_of_one_target(tiny_source: Path, tmp_path: Path) -> None:
    rival = tmp_path / ".engine.building"
    rival.mkdir()
    with (rival / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(errors.BusyError, match="another build"):
            build(tiny_source, tmp_path / "engine")
    assert rival.exists()
    assert build(tiny_source, tmp_path / "engine").status == "built"


def test_too_little_space_is_seen_before_writing(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 30, 1 << 30, 1000))
    with pytest.raises(errors.DiskFullError, match=r"needed, 0\.00 GB free"):
        build(tiny_source, tmp_path / "engine")
    assert not list(tmp_path.iterdir())


def test_disk_full_while_writing(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [200_000]

    def limited(descriptor: int, data: Any) -> int:
        if room[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(descriptor, data[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(gemma4_build.convert.os, "write", limited)  # type: ignore[attr-defined]
    with pytest.raises(errors.DiskFullError, match="No space left on device") as caught:
        build(tiny_source, tmp_path / "engine")
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir())


def test_a_real_write_limit(tiny_source: Path, tmp_path: Path) -> None:
    """The kernel refuses to let the file grow: the error is clear and nothing is left."""
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from gemma4_build.errors import DiskFullError\n"
        "from gemma4_build.pipeline import build_engine\n"
        "from gemma4_build.progress import SilentReporter\n"
        "from gemma4_build.request import BuildRequest\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "request = BuildRequest(checkpoint=Path(sys.argv[1]), out=Path(sys.argv[2]))\n"
        "try:\n"
        "    build_engine(request, SilentReporter())\n"
        "except DiskFullError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", code, str(tiny_source), str(tmp_path / "engine")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "File too large while writing" in done.stdout
    assert not list(tmp_path.iterdir())


def test_target_that_cannot_be_made(tiny_source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.BadOptionError, match="cannot write there"):
        build(tiny_source, tmp_path / "file" / "engine")


def test_source_that_shrinks_while_reading(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard, original = tiny / "model.safetensors", gemma4_build.pipeline.convert_tensors  # type: ignore[attr-defined]

    def shrink(*arguments: Any, **options: Any) -> Any:
        os.truncate(shard, 10_000)
        return original(*arguments, **options)

    monkeypatch.setattr(gemma4_build.pipeline, "convert_tensors", shrink)
    with pytest.raises(errors.TruncatedFileError, match="became shorter"):
        build(tiny, tmp_path / "out" / "engine")
    assert not list((tmp_path / "out").iterdir())
